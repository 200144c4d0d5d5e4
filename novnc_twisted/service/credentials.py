"""The credentials for VNC servers, ``[vnc] vencrypt_*``: read at the start and at each reload."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from novnc_twisted.access.pem import certificates, private_key
from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.tls_options import read_option

if TYPE_CHECKING:
    from novnc_twisted.session import UpstreamTLS


class UpstreamCredentials:
    """The credentials with which the proxies of one process connect to VNC servers.

    :ivar tls: the credentials that the sessions use.
    """

    def __init__(self, conf: Any) -> None:
        """Read the files.

        :raises Unusable: as for :func:`upstream_tls`.
        """
        self._conf = conf
        self.tls = upstream_tls(conf)

    def reload(self) -> None:
        """Read the files again, and use their new content for new connections to VNC servers.

        :raises Unusable: a file cannot be used.  All previous files then stay in use.
        """
        self.renewal()()

    def renewal(self) -> Callable[[], None]:
        """Read the files again.

        :return: a function that puts the new content into use.
        :raises Unusable: a file cannot be used.
        """
        return partial(self.tls.renew, upstream_tls(self._conf))

    @property
    def used(self) -> bool:
        """Whether ``auth_schemes`` contains VeNCrypt.  Without VeNCrypt, there are no files to read."""
        return "vencrypt" in self._conf.vnc.auth_schemes


def upstream_tls(conf: Any) -> "UpstreamTLS":
    """Read the credentials for VeNCrypt; return empty ones if ``auth_schemes`` does not name VeNCrypt.

    :raises Unusable: a file or ``vencrypt_server_name`` cannot be used, or ``vencrypt_subtypes`` is empty or has a
        sub-type that this machine's OpenSSL does not support; the text is one line that names the option.
    """
    from novnc_twisted.session import UpstreamTLS

    if "vencrypt" not in conf.vnc.auth_schemes:
        return UpstreamTLS()
    files = {name: _content(conf, f"vencrypt_{name}") for name in ("ca_certs", "client_cert", "client_key")}
    try:
        credentials = UpstreamTLS(**files, server_name=conf.vnc.vencrypt_server_name or None)
    except ValueError as error:
        name, _, why = str(error).partition(": ")
        option = f"vencrypt_{name}"
        raise Unusable(f"[vnc] {option}: {why} ({conf.vnc[option]})") from None
    subtypes = conf.vnc.vencrypt_subtypes
    if not subtypes:
        raise Unusable("[vnc] vencrypt_subtypes: it is empty, but auth_schemes names vencrypt, which needs a sub-type")
    try:
        credentials.prepare(subtypes)
    except ValueError as error:
        raise Unusable(f"[vnc] vencrypt_subtypes: {','.join(subtypes)}: {error}") from None
    return credentials


def files(conf: Any) -> list[Callable[[], object]]:
    """Return a function for each file that is set in the options.

    Each function checks its file, and raises Unusable if the file is bad.  Only :func:`upstream_tls` checks whether
    the files fit together.
    """
    if "vencrypt" not in conf.vnc.auth_schemes:
        return []
    parsers = {"ca_certs": certificates, "client_cert": certificates, "client_key": private_key}
    return [
        partial(read_option, f"[vnc] vencrypt_{name}", conf.vnc[f"vencrypt_{name}"], parse)
        for name, parse in parsers.items()
        if conf.vnc[f"vencrypt_{name}"]
    ]


def _content(conf: Any, option: str) -> bytes | None:
    path = conf.vnc[option]
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Unusable(f"[vnc] {option}: can't read {path}: {error.strerror}") from None
