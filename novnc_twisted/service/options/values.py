"""Checks of option values.  Each function raises ValueError, with one sentence, for a value that cannot work."""

import ipaddress
import os
import re
from pathlib import PurePosixPath

from novnc_twisted.access.forwarded import networks
from novnc_twisted.access.hosts import host_name, is_ip

_LONGEST_SOCKET = 107
"""Maximum number of bytes of the path of a unix socket (unix(7))."""

_WITH_PORT = re.compile(r"(?:[^:]*|\[.*\]):[0-9]*")
_SERVICE_HOST = re.compile(r"[!-~]{1,200}")
_SOURCE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:)"
    r"|(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?P<host>\*|(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(?::(?P<port>[0-9]{1,5}|\*))?(?:/[!-+\--:<-~]*)?"
)
_KEYWORDS = ("self", "none", "unsafe-inline", "unsafe-eval", "strict-dynamic", "report-sample", "unsafe-hashes")


def address(text: str) -> None:
    """Check an IP address or a host name, without a port or anything else."""
    if not text:
        raise ValueError("an address or a host name is missing")
    if "://" in text:
        raise ValueError(f"{text} is a URL; write the address or the host name alone")
    if is_ip(text):
        return
    if text[0] == "[" and text[-1] == "]" and is_ip(text[1:-1]):
        raise ValueError(f"{text}: write the IPv6 address without brackets")
    if _WITH_PORT.fullmatch(text):
        raise ValueError(f"{text}: write the address without a port")
    host_name(text)


def listen_address(text: str) -> tuple[str, int]:
    """Check and return a host and a port to listen on, such as ``127.0.0.1:9100`` or ``[::1]:9100``."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536):
        raise ValueError(f"{text or 'an empty value'} is not HOST:PORT, such as 127.0.0.1:9100")
    in_brackets = host[:1] == "[" and host[-1:] == "]"
    bare = host[1:-1] if in_brackets else host
    address(bare)
    is_ipv6 = ":" in bare
    if is_ipv6 != in_brackets:
        raise ValueError(f"{text}: only an IPv6 address is written in brackets, such as [::1]:9100")
    return bare, int(port)


def connectable_address(text: str) -> None:
    """Check an address or a host name to which a connection can be opened."""
    address(text)
    if is_ip(text):
        ip = ipaddress.ip_address(text)
        if ip.is_multicast or text == "255.255.255.255":
            raise ValueError(f"{text} is not the address of one machine")


def service_host(text: str) -> None:
    """Check the option ``host``, a name that the services send to each other."""
    if not _SERVICE_HOST.fullmatch(text):
        raise ValueError("a name has 1 to 200 printable ASCII characters and no blank")


def network(text: str) -> None:
    """Check an IP address, or a network such as ``10.0.0.0/8``."""
    try:
        (found,) = networks([text])
    except ValueError:
        raise ValueError(f"{text} is neither an IP address nor a network such as 10.0.0.0/8") from None
    mapped = found.network_address.ipv4_mapped if isinstance(found, ipaddress.IPv6Network) else None
    if mapped is not None:
        length = found.prefixlen - 96
        raise ValueError(f"{text}: write {mapped if length == 32 else f'{mapped}/{length}'}, without ::ffff:")


def absolute_folder(text: str) -> None:
    """Check an absolute path without ``..``."""
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or "\0" in text:
        raise ValueError(f"{text} is not an absolute path, or it contains ..")


def absolute_file(text: str) -> None:
    """Check the absolute path of a file."""
    if not PurePosixPath(text).is_absolute() or "\0" in text or text.endswith("/"):
        raise ValueError(f"{text or 'an empty value'} is not the absolute path of a file")


def socket_path(text: str) -> None:
    """Check the absolute path of a unix socket; empty is accepted as well."""
    if not text:
        return
    if not text.startswith("/") or text.endswith("/") or "\0" in text:
        raise ValueError(f"{text} is not the absolute path of a socket")
    if len(os.fsencode(text)) > _LONGEST_SOCKET:
        raise ValueError(f"the path of a unix socket has at most {_LONGEST_SOCKET} bytes")


def octal_mode(text: str) -> None:
    """Check the permissions of a file, such as ``0660``."""
    if not re.fullmatch(r"(0o?)?[0-7]{3}", text):
        raise ValueError(f"{text} is not of the form 0660")


def origin_host(text: str) -> None:
    """Check the host of a web page: a host name or an IP address; IPv6 with or without brackets."""
    advice = "an item is a host name or an address alone, without scheme, port or path"
    if "*" in text:
        raise ValueError(f"{text} never matches: there are no wildcards; name each host whose pages may open consoles")
    if not text or "/" in text or text.lower() in ("null", "none") or any(blank.isspace() for blank in text):
        raise ValueError(f"{text or 'an empty item'} never matches; {advice}")
    bare = text[1:-1] if text[0] == "[" and text[-1] == "]" and ":" in text else text
    if is_ip(bare):
        return
    if _WITH_PORT.fullmatch(text):
        raise ValueError(f"{text} never matches; {advice}")
    try:
        host_name(text)
    except ValueError as error:
        raise ValueError(f"never matches: {error}") from None


def policy_source(text: str) -> None:
    """Check a source of Content-Security-Policy's frame-ancestors: ``'self'``, ``'none'``, a scheme, or a host."""
    if text.lower() in ("'self'", "'none'"):
        return
    if text.lower().strip("'\"") in _KEYWORDS:
        if text.lower() in ("self", "none"):
            raise ValueError(f"{text} would be the name of a host; write '{text.lower()}' with its single quotes")
        raise ValueError(f"{text} means nothing in frame-ancestors")
    if text.lower() in ("http", "https"):
        raise ValueError(f"{text} would be the name of a host; write {text}: for the scheme")
    found = _SOURCE.fullmatch(text)
    if found is None or ((found["port"] or "*") != "*" and not 0 < int(found["port"]) < 65536):
        raise ValueError(f"{text} is not a source of Content-Security-Policy (frame-ancestors)")
    if found["host"] is not None:
        # "*" alone is a valid source, but leaves no name to check.  The valid name "any" is checked instead.
        host_name(found["host"].removeprefix("*").removeprefix(".") or "any")
