"""Read what the application needs from a request as twisted.web parsed it."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address

from novnc_twisted.access.forwarded import Network, client_address, forwarded_prefix, forwarded_proto
from novnc_twisted.api.faults import malformed
from novnc_twisted.api.request import Request, absolute_form, host_of, is_loopback, split_target
from novnc_twisted.api.web_request import APIRequest


def read_request(web_request: APIRequest, trusted: Sequence[Network]) -> Request:
    """Read a request that has arrived in full.

    :param trusted: the proxies whose X-Forwarded-For, -Proto and -Prefix are believed.
    :raises Fault: 400 for a malformed target or Host.
    """
    method = web_request.method.decode("ascii", "replace")
    authority, target = absolute_form(web_request.uri)
    if target == b"*" and method == "OPTIONS":
        target = b"/"  # RFC 9110, section 9.3.7: about the server as a whole
    segments, query = split_target(target)
    headers = {
        name.decode("latin-1").lower(): [value.decode("latin-1") for value in values]
        for name, values in web_request.requestHeaders.getAllRawHeaders()
    }
    peer = getattr(web_request.client, "host", "")
    proto = forwarded_proto(peer, headers.get("x-forwarded-proto", []), trusted)
    here = web_request.host
    web_request.content.seek(0)
    return Request(
        method=method,
        segments=segments,
        query=query,
        headers=headers,
        body=web_request.content.read(),
        scheme=proto or ("https" if web_request.channel.isSecure() else "http"),
        host=_host(web_request, headers.get("host", []), authority),
        prefix=forwarded_prefix(peer, headers.get("x-forwarded-prefix", []), trusted),
        protocol=web_request.clientproto.decode("ascii", "replace"),
        local=not isinstance(here, IPv4Address | IPv6Address) or is_loopback(here.host),
        client=client_address(peer, headers.get("x-forwarded-for", []), trusted),
    )


def _host(web_request: APIRequest, hosts: Sequence[str], authority: bytes | None) -> str:
    """The host that the client asks: the absolute target's, before the Host header (RFC 9112, section 3.2.2).

    :raises Fault: 400 where either is malformed, or HTTP/1.1 came without a Host.
    """
    if hosts or web_request.clientproto != b"HTTP/1.0":
        named = host_of(hosts[0].strip()) if len(hosts) == 1 else None
        if named is None:
            raise malformed("Malformed request: Host")
    else:
        named = _own(web_request.host)
    if authority is None:
        return named
    asked = host_of(authority.decode("latin-1"))
    if asked is None:
        raise malformed("Malformed request URL")
    return asked


def _own(address: Any) -> str:
    """This end's host and port, for a client that names none."""
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    return f"{address.host}:{address.port}" if isinstance(address, IPv4Address) else "localhost"
