"""``noauth``: everyone on this machine is an administrator; web pages and clients of a reverse proxy are refused."""

import re

from novnc_twisted.access.hosts import is_loopback
from novnc_twisted.http.request import Request
from novnc_twisted.identity.errors import not_admitted
from novnc_twisted.identity.strategy import TokenReader
from novnc_twisted.identity.users import Caller, User

# Header names that proxies, load balancers and content delivery networks add.  A request of a client on this machine
# has none of them, so a name too many here costs nothing, and a name too few makes strangers administrators.
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
_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[^\s:/?#@\[\]]+)(?::([0-9]{1,5}))?")
_PORTS = {"http": 80, "https": 443}


class NoAuth:
    """Every client on this machine is an administrator.

    A page of a foreign site reaches a loopback address under its own name (DNS rebinding) or by a cross-site request:
    the first has a foreign Host, the second an Origin, or Sec-Fetch-Site.  A client of a reverse proxy on this machine
    is recognised by what proxies add.  One that adds nothing, names this API in Host and speaks HTTP/1.1 cannot be told
    from a client on this machine.
    """

    tokens = False

    def admit(self, request: Request) -> None:
        """Refuse requests of other machines, web pages and proxies, those for version documents included.

        :raises HTTPError: 403.
        """
        _refuse_proxies(request)
        named = len(request.headers.get("host", [])) == 1 and is_loopback(request.host)
        if not named or not request.local or (request.client and not is_loopback(request.client)):
            raise not_admitted("NotLocal", "only clients of this machine that ask localhost")
        _refuse_pages(request)

    async def caller(self, request: Request, read_token: TokenReader) -> Caller:
        """Return an administrator, whatever token the request has (clients send ``notused``)."""
        return self.user("admin").caller(None)

    async def log_in(self, name: str, password: str, address: str = "") -> User:
        """Return an administrator; the password is not looked at."""
        return self.user(name)

    def user(self, name: str) -> User:
        """Return an administrator of this name."""
        return User(name, None, "", is_admin=True)


def _refuse_proxies(request: Request) -> None:
    """Refuse requests with headers of proxies, whether or not the peer is a trusted proxy.

    A client that forges these headers affects no other client.

    :raises HTTPError: 403.
    """
    for name in request.headers:
        if _FORWARDING.fullmatch(name.replace("_", "-")):
            raise not_admitted("ReverseProxy", f"no proxy (header {name[:60]})")
    # nginx' proxy_pass without further settings adds no header, but speaks HTTP/1.0; today's clients speak 1.1.
    if request.protocol != "HTTP/1.1":
        raise not_admitted("ReverseProxy", "HTTP/1.1 only: a proxy speaks 1.0")


def _refuse_pages(request: Request) -> None:
    """Refuse requests of web pages; those of an own page, of the same scheme, host and port, are admitted.

    :raises HTTPError: 403.
    """
    sites = {site.strip().lower() for site in request.headers.get("sec-fetch-site", [])}
    origins = {_origin(origin.strip()) for origin in request.headers.get("origin", [])}
    if not sites <= {"none", "same-origin"} or not origins <= {_origin(f"{request.scheme}://{request.host}")} - {None}:
        raise not_admitted("ForeignPage", "no web pages of other sites")


def _origin(text: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an Origin, or None where it has none (``null``)."""
    found = _ORIGIN.fullmatch(text.lower())
    return None if found is None else (found[1], found[2], int(found[3] or _PORTS[found[1]]))
