"""Makes a :class:`~novnc_twisted.http.request.Request` from a request that twisted.web has parsed."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address

from novnc_twisted.access.forwarded import Network, client_address, forwarded_prefix, forwarded_proto
from novnc_twisted.access.hosts import is_host, is_loopback
from novnc_twisted.access.request_head import split_absolute
from novnc_twisted.http.errors import malformed
from novnc_twisted.http.request import Request
from novnc_twisted.http.targets import split_target
from novnc_twisted.http.wire_request import WireRequest


def read_request(wire_request: WireRequest, trusted: Sequence[Network]) -> Request:
    """Read a request that has arrived in full.

    :param trusted: the proxies whose X-Forwarded-For, -Proto and -Prefix are accepted.
    :raises HTTPError: 400 for a malformed target or Host.
    """
    method = wire_request.method.decode("ascii", "replace")
    authority, target = split_absolute(wire_request.uri.decode("latin-1"))
    if target == "*" and method == "OPTIONS":
        target = "/"  # "*" means the server as a whole (RFC 9110, section 9.3.7)
    segments, query = split_target(target)
    headers = {
        name.decode("latin-1").lower(): [value.decode("latin-1") for value in values]
        for name, values in wire_request.requestHeaders.getAllRawHeaders()
    }
    peer = getattr(wire_request.client, "host", "")
    proto = forwarded_proto(peer, headers.get("x-forwarded-proto", []), trusted)
    here = wire_request.host
    wire_request.content.seek(0)
    return Request(
        method=method,
        segments=segments,
        query=query,
        headers=headers,
        body=wire_request.content.read(),
        scheme=proto or ("https" if wire_request.channel.isSecure() else "http"),
        host=_host(wire_request, headers.get("host", []), authority),
        prefix=forwarded_prefix(peer, headers.get("x-forwarded-prefix", []), trusted),
        protocol=wire_request.clientproto.decode("ascii", "replace"),
        # Only this machine can reach a unix socket.
        local=not isinstance(here, IPv4Address | IPv6Address) or is_loopback(here.host),
        client=client_address(peer, headers.get("x-forwarded-for", []), trusted),
    )


def _host(wire_request: WireRequest, hosts: Sequence[str], authority: str | None) -> str:
    """Return the requested host.  An absolute target has precedence over the Host field (RFC 9112, section 3.2.2).

    :raises HTTPError: 400: the host in the target or in the Host field is malformed, there is more than one Host field,
        or an HTTP/1.1 request has no Host field.
    """
    if hosts or wire_request.clientproto != b"HTTP/1.0":
        host = hosts[0].strip() if len(hosts) == 1 else ""
        if not is_host(host):
            raise malformed("Malformed request: Host")
    else:
        host = _local_host(wire_request.host)
    if authority is None:
        return host
    if not is_host(authority):
        raise malformed("Malformed request URL")
    return authority


def _local_host(address: Any) -> str:
    """Return the local host and port, for a request that names no host; ``localhost`` for a unix socket."""
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    return f"{address.host}:{address.port}" if isinstance(address, IPv4Address) else "localhost"
