"""The strategy ``noauth``: clients on this machine are administrators.

Requests that come from web pages of other sites or through reverse proxies are refused.
"""

import re
from collections.abc import Callable

from novnc_twisted.access.hosts import is_loopback
from novnc_twisted.access.origin import read_origin
from novnc_twisted.http.request import Request
from novnc_twisted.identity.errors import not_admitted
from novnc_twisted.identity.strategy import TokenReader, own_identity_url
from novnc_twisted.identity.tokens import Tokens
from novnc_twisted.identity.users import Caller, User
from novnc_twisted.messaging.interfaces import IKeyedStore

# Names of header fields that proxies, load balancers and content delivery networks add.  Clients on this machine do not
# send these fields, so an unnecessary name does no harm.  But if a name is missing, remote clients that come through a
# proxy may become administrators.
_FORWARDING = re.compile(
    r"""
    .*forward.*                              # Forwarded, X-Forwarded-*, X-Original-Forwarded-For, Max-Forwards
    | (?:x-)?via
    | (?:.*-)?[a-z]*(?:ip|ipv6|addr|address) # X-Real-IP, True-Client-IP, CF-Connecting-IP, X-Azure-ClientIP, ...
    | x-(?:original|rewrite|proxy|proxied|envoy|arr|azure|fd|amz|amzn|akamai|appengine|cloud|varnish|ssl|url|sendfile
          |accel|haproxy|nginx|traefik|replaced|real|remote|client|edge|waf)(?:-.*)?
    | (?:cf|cdn|fastly|fly|akamai|incap|ali|eagleeye|wl-proxy|proxy|ssl|remote|front-end)-.*
    | x-(?:host|server|scheme|proto|protocol|port|https|remote)
    """,
    re.VERBOSE,
)
_PORTS = {"http": 80, "https": 443}


class NoAuth:
    """Every client on this machine is an administrator.

    A page of another site can reach a loopback address in two ways.  With DNS rebinding, the page's requests have a
    foreign Host.  Without it, they are cross-site requests, which have an Origin or Sec-Fetch-Site field.  Clients of a
    reverse proxy on this machine are recognized by the header fields that proxies add.  A proxy that adds no such
    field, sends ``localhost`` or a loopback address as Host, and uses HTTP/1.1 cannot be distinguished from a client on
    this machine.
    """

    own_identity = True
    tokens = False

    def admit(self, request: Request) -> None:
        """Refuse requests that come from other machines, from web pages of other sites, or through proxies.

        This also applies to requests for version documents, although they need no log-in.

        :raises HTTPError: 403.
        """
        # Checked first, to report the right cause: behind a proxy, Host and the client's address depend on the proxy.
        _refuse_proxies(request)
        # The Host must be ``localhost`` or a loopback address.  Both ends of a TCP connection must have loopback
        # addresses.  On a unix socket, the client has no address.
        named = len(request.headers.get("host", [])) == 1 and is_loopback(request.host)
        if not named or not request.local or (request.client and not is_loopback(request.client)):
            raise not_admitted(
                "NotLocal",
                "requests from other machines, or with a Host that is neither localhost nor a loopback address",
            )
        _refuse_pages(request)

    def identity_url(self, request: Request) -> str:
        """See IAuth."""
        return own_identity_url(request)

    async def caller(self, request: Request, read_token: TokenReader) -> Caller:
        """Return an administrator, whatever token the request has (clients send ``notused``)."""
        return self.user("admin").caller(None)

    async def log_in(self, name: str, password: str, address: str = "") -> User:
        """Return an administrator; the password is not checked."""
        return self.user(name)

    def browser_logins(self, store: IKeyedStore, tokens: Tokens, now: Callable[[], float]) -> None:
        """See IAuth.  Browsers need no log-in."""

    def token_holders(self, logins: object, now: Callable[[], float]) -> None:
        """See IAuth.  There are no API tokens, because clients need no token."""

    def user(self, name: str) -> User:
        """Return an administrator of this name."""
        return User(name, None, "", is_admin=True)


def _refuse_proxies(request: Request) -> None:
    """Refuse requests with header fields of proxies, and requests that do not use HTTP/1.1.

    Requests of proxies in ``[console] trusted_proxies`` are refused, too.  A client that forges header fields of
    proxies only excludes itself.

    :raises HTTPError: 403.
    """
    for name in request.headers:
        # Some proxies and WSGI servers treat "_" and "-" as the same character.
        if _FORWARDING.fullmatch(name.replace("_", "-")):
            raise not_admitted("ReverseProxy", f"requests of proxies (header {name[:60]})")
    # A proxy_pass of nginx before 1.29.7, without further settings, adds none of these header fields, but uses
    # HTTP/1.0.  Today's clients use 1.1.
    if request.protocol != "HTTP/1.1":
        raise not_admitted("ReverseProxy", "HTTP versions other than 1.1, because some proxies use 1.0")


def _refuse_pages(request: Request) -> None:
    """Refuse requests of web pages, except pages of this server, which have its scheme, host and port.

    :raises HTTPError: 403.
    """
    sites = {site.strip().lower() for site in request.headers.get("sec-fetch-site", [])}
    origins = {_origin(origin) for origin in request.headers.get("origin", [])}
    # None is removed: if both the Origin and our own Host are unreadable (None), they must not count as equal.
    if not sites <= {"none", "same-origin"} or not origins <= {_origin(f"{request.scheme}://{request.host}")} - {None}:
        raise not_admitted("ForeignPage", "requests of web pages of other sites")


def _origin(text: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of an Origin field; None if it is ``null`` or not a URL with http or https."""
    origin = read_origin(text.lower())
    if origin is None or origin.scheme not in _PORTS:
        return None
    return origin.scheme, origin.host, int(origin.port or _PORTS[origin.scheme])
