"""The credentials of ``[vnc] vencrypt_*``: files read once, so that what is wrong with them is one line at start."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from novnc_twisted.service.flagfile import Unusable

if TYPE_CHECKING:
    from novnc_twisted.session import UpstreamTLS


def upstream_tls(conf: Any) -> "UpstreamTLS":
    """What the proxies need for VeNCrypt; without files where auth_schemes does not name it.

    :raises Unusable: with one line that names the option.
    """
    from novnc_twisted.session import UpstreamTLS

    if "vencrypt" not in conf.vnc.auth_schemes:
        return UpstreamTLS()
    files = {name: _content(conf, f"vencrypt_{name}") for name in ("ca_certs", "client_cert", "client_key")}
    try:
        credentials = UpstreamTLS(**files, server_name=conf.vnc.vencrypt_server_name or None)
    except ValueError as error:
        option = f"vencrypt_{str(error).partition(':')[0]}"
        raise Unusable(f"[vnc] {option}: {_after(error)} ({conf.vnc[option]})") from None
    subtypes = conf.vnc.vencrypt_subtypes
    if not subtypes:
        raise Unusable("[vnc] vencrypt_subtypes: there is none, and auth_schemes names vencrypt")
    try:
        credentials.prepare(subtypes)
    except ValueError as error:
        raise Unusable(f"[vnc] vencrypt_subtypes: {','.join(subtypes)}: {error}") from None
    return credentials


def _content(conf: Any, option: str) -> bytes | None:
    path = conf.vnc[option]
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Unusable(f"[vnc] {option}: can't read {path}: {error.strerror}") from None


def _after(error: ValueError) -> str:
    return str(error).partition(": ")[2]
