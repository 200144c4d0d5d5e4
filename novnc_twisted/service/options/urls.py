"""Checks of options that are URLs.  Each function raises ValueError, with one sentence, for a bad URL."""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from novnc_twisted.service.options.values import address

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_STRANGE = re.compile(r'[\x00-\x20\x7f-\xa0"<>\\^`{|}]|\s')
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AUTHORITY = re.compile(r"(?:\[(?P<ip>[^\[\]]*)\]|(?P<name>[^\[\]:]*))(?P<colon>:(?P<port>.*))?", re.S)

DRIVER_PATHS: Final = {"qemu": ("/system", "/session", "/embed")}
"""The paths that libvirt accepts, by driver.  Other drivers accept any path or none, but ``test`` needs a path."""


def web_url(text: str) -> None:
    """Check a URL that users get: http or https, a host, and perhaps a port, a path and a query."""
    parts = _split(text, "http://controller:6080/vnc_auto.html")
    if parts.scheme.lower() not in ("http", "https"):
        raise ValueError(f"{_shown(text)} is not an http:// or https:// URL")
    if "@" in parts.netloc:
        raise ValueError("a URL for users must not hold a user or a password (the part before the @)")
    _check_authority(text, parts.netloc)


def libvirt_uri(text: str) -> None:
    """Check a URI of libvirt, ``driver[+transport]://[user@][host][:port]/path``; empty is accepted as well."""
    if not text:
        return
    parts = _split(text, "qemu:///system")
    if parts.netloc:
        _check_authority(text, parts.netloc.rpartition("@")[2])
    driver = parts.scheme.lower().partition("+")[0]
    if driver == "test" and parts.path in ("", "/"):
        raise ValueError(f"{_shown(text)}: write test:///default, or test:///FILE")
    if parts.path not in DRIVER_PATHS.get(driver, (parts.path,)):
        raise ValueError(
            f"{_shown(text)}: the path of a {driver} URI is {' or '.join(DRIVER_PATHS[driver])}, as in qemu:///system"
        )


def _shown(text: str) -> str:
    """Return the URL without its user and password, which an error must not show.

    A password may contain ``/`` or ``@`` by mistake, so everything up to the last ``@`` is left out.
    """
    return re.sub(r"^([A-Za-z0-9+.-]*://)?.*@", r"\1***@", text, flags=re.S)


def _split(text: str, example: str) -> SplitResult:
    if not text:
        raise ValueError(f"a URL is missing, such as {example}")
    strange = _STRANGE.search(text)
    if strange is not None:
        what = "a blank" if strange[0].isspace() else f"the character {strange[0]!r}"
        raise ValueError(f"{_shown(text)!r} is not a URL: it holds {what}")
    if not _SCHEME.match(text):
        raise ValueError(f"{_shown(text)} is not a URL such as {example}")
    if "#" in text:
        raise ValueError(f"{_shown(text)} must not have a fragment (the part from the # on)")
    if _BAD_ESCAPE.search(text):
        raise ValueError(f"{_shown(text)} is not a URL: a % is not followed by two hexadecimal digits (write %25)")
    try:
        return urlsplit(text)
    except ValueError:
        raise ValueError(f"{_shown(text)} is not a URL: check the brackets around the host") from None


def _check_authority(text: str, authority: str) -> None:
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        bare = authority.count(":") > 1 and not set("[]") & set(authority)
        hint = "write an IPv6 address in brackets" if bare else "check the brackets around the host"
        raise ValueError(f"{_shown(text)} is not a URL: {hint}")
    host = found["ip"] or found["name"]
    if not host:
        raise ValueError(f"{_shown(text)} is not a URL: it has no host")
    try:
        address(host)
    except ValueError:
        raise ValueError(f"{_shown(text)} is not a URL: its host is neither an IP address nor a host name") from None
    is_ipv6, in_brackets = ":" in host, found["ip"] is not None
    if is_ipv6 != in_brackets:
        raise ValueError(f"{_shown(text)} is not a URL: only an IPv6 address stands in brackets")
    port = found["port"]
    if found["colon"] and not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536):
        raise ValueError(f"{_shown(text)} is not a URL: the port is a number from 1 to 65535")
