"""TLS at our own ports: certificate, key and rules read from files, at start and again when asked to."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from novnc_twisted.access.pem import belong_together, certificates, private_key
from novnc_twisted.relay.loss_reasons import tls_error
from novnc_twisted.service.flagfile import Unusable

MINIMA = {"tlsv1_1": SSL.TLS1_1_VERSION, "tlsv1_2": SSL.TLS1_2_VERSION, "tlsv1_3": SSL.TLS1_3_VERSION}
"""nova's words for versions; ``default`` leaves it to the OpenSSL library."""

T = TypeVar("T")


@implementer(IOpenSSLServerConnectionCreator)
class FrontTLS:
    """Makes the TLS of new connections; those that live keep what they began with."""

    def __init__(
        self,
        group: str,
        cert: str,
        key: str | None,
        *,
        ciphers: str | None = None,
        minimum: str = "default",
        client_ca: str | None = None,
    ) -> None:
        """Read the files.

        :param group: ``[api] `` or nothing: stands before ``cert`` and ``key`` in what is said of them.
        :param cert: file (PEM) of the certificate, intermediate ones behind it.
        :param key: file of its key; None: it stands in the same.
        :param ciphers: OpenSSL's list of ciphers up to TLS 1.2; None: the library's.
        :param minimum: ``default`` or one of :data:`MINIMA`.
        :param client_ca: file of the CAs one of which must have issued a certificate of each client; None: no client is
            asked for one.
        :raises Unusable: with one line that names the option and the file.
        """
        self._cert, self._key = (f"{group}cert", cert), (f"{group}key" if key else f"{group}cert", key or cert)
        self._ciphers, self._minimum, self._client_ca = ciphers, minimum, client_ca
        self._context = self._read()

    def reload(self) -> None:
        """Read the files again; new connections have what stands there now.

        :raises Unusable: with one line; then everything stays as it was.
        """
        self.renewal()()

    def renewal(self) -> Callable[[], None]:
        """Read the files again, and give what puts them into use.

        :raises Unusable: with one line.
        """
        context = self._read()

        def use() -> None:
            self._context = context

        return use

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """See IOpenSSLServerConnectionCreator."""
        return SSL.Connection(self._context, None)

    def _read(self) -> SSL.Context:
        chain = read_pem(*self._cert, certificates)
        key = read_pem(*self._key, private_key)
        if not belong_together(chain[0], key):
            option, path = self._key
            raise Unusable(f"{option}: the key is not the one of the certificate ({path})")
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 34 KiB for each connection that is silent
        context.set_session_id(b"novnc_twisted")  # without one, resumption fails where client certificates are wanted
        if self._minimum in MINIMA:
            context.set_min_proto_version(MINIMA[self._minimum])
        if self._ciphers:
            try:
                context.set_cipher_list(self._ciphers.encode())
            except (SSL.Error, UnicodeError):
                raise Unusable(f"[console] ssl_ciphers: OpenSSL knows no such ciphers: {self._ciphers}") from None
        try:
            context.use_certificate(chain[0])
            for certificate in chain[1:]:
                context.add_extra_chain_cert(certificate)
            context.use_privatekey(key)
        except (SSL.Error, TypeError, ValueError) as error:
            option, path = self._cert
            why = tls_error(error) if isinstance(error, SSL.Error) else str(error)
            raise Unusable(f"{option}: {why} ({path})") from None
        if self._client_ca:
            self._ask_clients(context, self._client_ca)
        return context

    def _ask_clients(self, context: SSL.Context, path: str) -> None:
        store = context.get_cert_store()
        for authority in read_pem("[console] ssl_client_ca", path, certificates):
            if store is not None:
                store.add_cert(crypto.X509.from_cryptography(authority))
            context.add_client_ca(authority)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)


def read_pem(option: str, path: str, parse: Callable[[bytes], T]) -> T:
    """What stands in a file.

    :param option: names the file, for the line that people see.
    :raises Unusable: with one line that names the option and the file.
    """
    try:
        return parse(Path(path).read_bytes())
    except OSError as error:
        raise Unusable(f"{option}: can't read {path}: {error.strerror}") from None
    except ValueError as error:
        raise Unusable(f"{option}: {error} ({path})") from None


def missing_of_proxies(conf: Any) -> list[str]:
    """One line for each option of the proxies' TLS that needs another one, which is not set."""
    client_ca = "[console] ssl_client_ca"
    if conf.cert:
        needs_tls = f"{client_ca}: it needs ssl_only = true; a client that connects in plain shows no certificate"
        return [needs_tls] if conf.console.ssl_client_ca and not conf.ssl_only else []
    options = (("key", conf.key), ("ssl_only", conf.ssl_only), (client_ca, conf.console.ssl_client_ca))
    lacks = "it needs cert, the proxies' certificate, which is not set"
    return [f"{option}: {lacks}" for option, value in options if value]


def missing_of_api(conf: Any) -> list[str]:
    """The same for the API."""
    if conf.api.key and not conf.api.cert:
        return ["[api] key: it needs [api] cert, the certificate, which is not set"]
    return []


def files_of_proxies(conf: Any) -> list[Callable[[], object]]:
    """A way to read each file of the proxies' TLS by itself; each raises Unusable."""
    files = _files("", conf.cert, conf.key)
    if conf.cert and conf.console.ssl_client_ca:
        files.append(partial(read_pem, "[console] ssl_client_ca", conf.console.ssl_client_ca, certificates))
    return files


def files_of_api(conf: Any) -> list[Callable[[], object]]:
    """The same for the API."""
    return _files("[api] ", conf.api.cert, conf.api.key)


def _files(group: str, cert: str | None, key: str | None) -> list[Callable[[], object]]:
    files: list[Callable[[], object]] = []
    if cert:
        files.append(partial(read_pem, f"{group}cert", cert, certificates))
    if cert and key:
        files.append(partial(read_pem, f"{group}key", key, private_key))
    return files


def proxies_tls(conf: Any) -> FrontTLS | None:
    """TLS of the two proxies; None where there is no ``cert``.

    :raises Unusable: with one line that names the option.
    """
    for line in missing_of_proxies(conf):
        raise Unusable(line)
    if not conf.cert:
        return None
    console = conf.console
    return FrontTLS(
        "",
        conf.cert,
        conf.key,
        ciphers=console.ssl_ciphers,
        minimum=console.ssl_minimum_version,
        client_ca=console.ssl_client_ca,
    )


def api_tls(conf: Any) -> FrontTLS | None:
    """TLS of the API; None where there is no ``[api] cert``.

    :raises Unusable: with one line that names the option.
    """
    for line in missing_of_api(conf):
        raise Unusable(line)
    if not conf.api.cert:
        return None
    console = conf.console
    return FrontTLS(
        "[api] ", conf.api.cert, conf.api.key, ciphers=console.ssl_ciphers, minimum=console.ssl_minimum_version
    )
