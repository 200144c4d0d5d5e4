"""Where a request comes from: the PROXY protocol, forwarded addresses, Origins, tokens; and the links we give out."""

import contextlib
import ipaddress
import re
import struct
from urllib.parse import urlsplit

from novnc_twisted.access.access_url import access_url
from novnc_twisted.access.display import clean, scrub
from novnc_twisted.access.failures import network_of
from novnc_twisted.access.forwarded import UNKNOWN, client_address, forwarded_proto, is_trusted, networks
from novnc_twisted.access.origin import ALLOWED, BAD, FORBIDDEN, judge_origin
from novnc_twisted.access.proxy_protocol import MAX_PAYLOAD, BadProxyHeader, ProxyHeader, read_proxy_header
from novnc_twisted.access.tokens import hash_token, token_of

from .tools import Target, clean_text_of, fits_a_log, holds, same, text_of

TOKEN = "11111111-2222-3333-4444-555555555555"
SECRET = "99999999-8888-7777-6666-555555555555"
TRUSTED = networks(["127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8"])


def run_proxy(data: bytes) -> None:
    """A PROXY header: None is read until it is complete, then the same header, whatever follows."""
    found: ProxyHeader | str | None = None
    for length in range(min(len(data), 300) + 1):
        now = _proxy(data[:length])
        if found is None:
            found = now
            if isinstance(found, ProxyHeader):
                same(found.length, length, "the length of the header")
        else:
            same(now, found, "the header when more bytes follow")
    found = _proxy(data)
    if found is None:
        holds(len(data) < 16 + MAX_PAYLOAD, "waits for more than it should", len(data))
    if not isinstance(found, ProxyHeader):
        return
    holds(0 < found.length <= len(data) and 0 <= found.port <= 0xFFFF, "an impossible header", found)
    if found.host in (None, UNKNOWN):
        return
    address = ipaddress.ip_address(found.host)
    if not data.startswith(b"PROXY"):
        holds(found.length >= 16 + {0x11: 12, 0x21: 36}[data[13]], "shorter than its addresses", found)
    same(str(address), found.host, "the address")
    family = "TCP4" if address.version == 4 else "TCP6"
    other = "192.0.2.1" if address.version == 4 else "2001:db8::1"
    line = f"PROXY {family} {address} {other} {found.port} 1\r\n".encode()
    same(_proxy(line), ProxyHeader(found.host, found.port, len(line)), "version 1 of it")
    body = address.packed + ipaddress.ip_address(other).packed + struct.pack(">HH", found.port, 1)
    kind = 0x11 if address.version == 4 else 0x21
    binary = b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", 0x21, kind, len(body)) + body
    same(_proxy(binary + data), ProxyHeader(found.host, found.port, len(binary)), "version 2 of it")


def _proxy(data: bytes) -> ProxyHeader | str | None:
    try:
        return read_proxy_header(data)
    except BadProxyHeader as error:
        fits_a_log(str(error), 200, "the error")
        return "bad"


def run_forwarded(data: bytes) -> None:
    """Lines: the peer, then values of X-Forwarded-For; the result is one of these addresses."""
    peer, *values = text_of(data).split("\n")
    found = client_address(peer, values, TRUSTED)
    if not is_trusted(peer, TRUSTED):
        same(found, peer, "an untrusted peer")
    elif found == UNKNOWN:
        holds(any(not _addresses(hop) for value in values for hop in value.split(",")), "a good address is unknown")
    elif found != peer:
        holds(any(found in _addresses(hop) for value in values for hop in value.split(",")), "an unknown address")
    proto = forwarded_proto(peer, values, TRUSTED)
    holds(proto is None or (is_trusted(peer, TRUSTED) and len(values) == 1 and proto == proto.strip()), "bad protocol")
    for text in (peer, *values):
        holds(len(network_of(text)) <= 64, "a key that is too long", text)
        with contextlib.suppress(ValueError):
            networks([text])


def _addresses(hop: str) -> set[str]:
    """Each address that an entry could mean: with and without its quotes, brackets and last ``:digits``."""
    found = set()
    bare = re.sub(r'^"(.+)"$', r"\1", hop.strip(" \t"))
    for text in (bare, re.sub(r":[0-9]{1,5}$", "", bare)):
        with contextlib.suppress(ValueError):
            ip = ipaddress.ip_address(re.sub(r"^\[(.*)\]$", r"\1", text))
            mapped = ip.ipv4_mapped if ip.version == 6 else None
            found.add(str(mapped or ip).partition("%")[0])
    return found


def run_origin(data: bytes) -> None:
    """First byte: how many Origins and Hosts; lines: these, then allowed origins.  Only a known host is allowed."""
    if len(data) < 2:
        return
    lines = text_of(data[1:]).split("\n")
    many, hosts_many, proto = data[0] & 3, data[0] >> 2 & 3, (None, "https", "http", "")[data[0] >> 4 & 3]
    origins, hosts, allowed = lines[:many], lines[many : many + hosts_many], lines[many + hosts_many :]
    verdict = judge_origin(origins, hosts, scheme="http", allowed=allowed, forwarded_proto=proto)
    holds(verdict in (ALLOWED, FORBIDDEN, BAD), "no verdict", verdict)
    same(verdict == BAD, len(origins) > 1 or len(hosts) > 1, "whether it is bad")
    if verdict == ALLOWED and origins:
        try:
            parts = urlsplit(origins[0].strip())
        except ValueError:  # the operator allowed brackets around something that is not an address
            return
        same(parts.scheme, proto or "http", "the scheme that is allowed")
        name = _shortest((parts.hostname or "").lower())
        known = {_shortest(re.sub(r"^\[|\]$", "", one.strip().lower())) for one in allowed}
        known |= {_shortest(re.sub(r"^\[|\]?(:[0-9]+)?$", "", one.strip().lower())) for one in hosts}
        holds(name and name in known, "an unknown host is allowed", origins, hosts, allowed)
        holds(parts.path == "" and not parts.query and not parts.fragment and "@" not in parts.netloc, "too many parts")


def _shortest(host: str) -> str:
    """A host for comparisons: an IPv6 address in its shortest form and without a zone, an IPv4-mapped one as IPv4."""
    try:
        ip = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(ip.ipv4_mapped or ip)


def run_token(data: bytes) -> None:
    """A path, and lines of cookies: no log shows a token that is found there."""
    path, *cookies = text_of(data).split("\n")
    path = re.sub(r"[^!-~]", "", path)  # as in the request line
    token = token_of(path, cookies)
    holds(token is None or token, "an empty token")
    if token is not None:
        same(len(hash_token(token)), 64, "the hash")
    shown = clean(path)
    fits_a_log(shown, 300, "what is logged")
    same(scrub(scrub(path)), scrub(path), "the second scrub")
    for left in ("/vnc.html?token=", "/?path=%3Ftoken%3D", "/?a=b&token=", "/?Token="):
        holds(SECRET not in scrub(f"{path.replace(SECRET, '')}{left}{SECRET}"), "shows a token", path)
        holds(SECRET not in clean(f"{left}{SECRET}&{path.replace(SECRET, '')}"), "shows a token before", path)
    found = token_of(path)
    if found is not None and TOKEN in found and path.count(TOKEN) == 1:
        holds(TOKEN not in scrub(path), "shows the token of the path", path)


def run_link(data: bytes) -> None:
    """A base URL: the link contains the token, and the proxy finds it."""
    base = clean_text_of(data)
    try:
        link = access_url(base, TOKEN)
    except ValueError:
        return
    holds(TOKEN in link, "no token in the link", link)
    holds(TOKEN not in scrub(link), "shows the token of a link", link)
    parts = urlsplit(link)
    if "path=" not in parts.query and parts.query.count("&") < 100:  # the proxies do not read more
        same(token_of(f"/?{parts.query}"), TOKEN, "the token in the link")


TARGETS = (
    Target(
        "proxy-protocol",
        run_proxy,
        280,
        (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 6080\r\n",
            b"PROXY TCP6 2001:db8::1 ::1 40000 6080\r\n",
            b"PROXY UNKNOWN ",
            b"\r\n",
            b"\r\n\r\n\0\r\nQUIT\n",
            b"\x21\x11\0\x0c" + bytes(12),
            b"\x21\x21\0\x24" + bytes(36),
            b"\x20\0\0\0",
            b"\x21\x31\0\xd8",
        ),
    ),
    Target(
        "forwarded",
        run_forwarded,
        256,
        (
            b"127.0.0.1\n",
            b"::1\n",
            b"192.0.2.1, ",
            b"[2001:db8::1]",
            b"::ffff:10.0.0.1",
            b"fe80::1%eth0",
            b"10.0.0.0/8",
        ),
    ),
    Target(
        "origin",
        run_origin,
        256,
        (b"\5", b"http://", b"https://", b"localhost", b"[::1]", b":6080", b"\n", b"null", b"example.org"),
    ),
    Target(
        "token",
        run_token,
        256,
        (b"/?token=", b"token=", b"%3D", b"%3F", b"tok%65n=", b";", b"&", b"\n", b'"', TOKEN.encode(), b"path="),
    ),
    Target("access-url", run_link, 256, (b"http://h:6080/vnc.html", b"?", b"path=", b"&a=b", b"#x", b"%3Ftoken", b"[")),
)
