"""The proxies with TLS for measurements: ours, and an HAProxy that terminates TLS.

The load generator does not speak TLS.  An HAProxy between it and each proxy adds TLS; that HAProxy belongs to the load,
so that its CPU time is not counted.
"""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.load import LOOPBACK, Unavailable, wait_for_port
from benchmarks.ours import Console
from benchmarks.peers import HAProxy, haproxy_cfg
from benchmarks.proxies import Proxy, output_of


class _TLSEnd(HAProxy):
    """The HAProxy that adds TLS between the load generator and the proxy."""

    def files(self) -> Mapping[str, str]:
        return {"haproxy.cfg": haproxy_cfg(f"{LOOPBACK}:{self.port}", f"{LOOPBACK}:{self.backend} ssl verify none")}


class HAProxyTLS(HAProxy):
    """HAProxy terminating TLS in tcp mode."""

    name = "haproxy, TLS"
    about = "ends TLS, then raw TCP"
    front = "tls"

    def __init__(self, backend: int, folder: Path) -> None:
        super().__init__(backend, folder)
        self.helpers = [_TLSEnd(self.port, folder / "tls-end")]

    def files(self) -> Mapping[str, str]:
        """A listener that terminates TLS."""
        return {
            "tls.pem": certificate(),
            "haproxy.cfg": haproxy_cfg(
                f"{LOOPBACK}:{self.port} ssl crt {self.folder}/tls.pem", f"{LOOPBACK}:{self.backend}"
            ),
        }

    def wait_until_it_serves(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until it accepts connections, then start the load's HAProxy."""
        wait_for_port(self.port, process)
        self.urls = {"tls": f"tcp://{LOOPBACK}:{_with_tls(self)}"}


class ConsoleTLS(Console):
    """Our proxy with a certificate."""

    name = "ours, TLS"
    about = "twistd console, as shipped, with cert and key"

    def __init__(self, backend: int, folder: Path) -> None:
        super().__init__(backend, folder)
        self.helpers = [_TLSEnd(self.port, folder / "tls-end")]

    def files(self) -> Mapping[str, str]:
        """nova.conf with a certificate."""
        pem = f"{self.folder}/tls.pem"
        conf = self._nova_conf("https", f"cert = {pem}\nkey = {pem}\n")
        return {"tls.pem": certificate(), "nova.conf": conf, "domains.xml": self._domains()}

    def wait_until_it_serves(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until a TLS handshake succeeds, then start the load's HAProxy."""
        try:
            super().wait_until_it_serves(process)
            _shake_hands(self.port)
        except (Unavailable, OSError) as trouble:
            if " cert: " in self.last_words() or isinstance(trouble, OSError):
                raise Unavailable(f"TLS front not there yet: {trouble}") from None
            raise
        query = urlsplit(self.urls["novnc"]).query
        self.urls = {"tls": f"wss://{LOOPBACK}:{_with_tls(self)}/?{query}"}


class ConsoleTLSShieldOff(ConsoleTLS):
    """The same without the shield."""

    name = "ours, TLS, shield off"
    about = "the same, with [console] shield = false"
    more = "shield = false"


def certificate() -> str:
    """A self-signed certificate for loopback and its key (EC P-256), as PEM.

    :raises Unavailable: without openssl.
    """
    if shutil.which("openssl") is None:
        raise Unavailable("openssl is not installed (apt-get install openssl)")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "-", "-out", "-")
    return output_of("openssl", "req", "-x509", *kind, "-days", "2", "-subj", "/CN=localhost")


def _with_tls(proxy: Proxy) -> int:
    """Start the HAProxy that adds TLS, and return its plain port."""
    (end,) = proxy.helpers
    end.start()
    return end.port


def _shake_hands(port: int) -> None:
    """Do a TLS handshake, with any certificate.

    :raises OSError: it fails.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((LOOPBACK, port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost"),
    ):
        return
