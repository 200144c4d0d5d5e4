"""``JSONTokenApi`` and ``BaseTokenAPI``: ask an HTTP server where a token leads."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from zope.interface import implementer

from novnc_twisted.access import strict_json
from novnc_twisted.access.hosts import is_loopback
from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.http.client import BoundedClient
from novnc_twisted.token_plugins.interfaces import LONGEST_TOKEN, ITokenPlugin
from novnc_twisted.token_plugins.target import Target, parse_target, target_of

_MARK: Final = "%s"
_UNKNOWN: Final = frozenset((400, 401, 403, 404, 410, 422))
"""Statuses that mean that the token is not valid.  All others, except 2xx, are failures of the HTTP server."""


@implementer(ITokenPlugin)
class BaseTokenAPI:
    """Sends ``GET`` to a URL that contains the token.  The answer is the text ``host:port``."""

    max_token = LONGEST_TOKEN
    reads_once = False
    directories: tuple[str, ...] = ()

    def __init__(self, reactor: Any, source: str, *, tls_policy: Any = None) -> None:
        """Prepare, without connecting.

        :param source: a URL with one ``%s`` in its path or query.  The token replaces the ``%s``.
        :param tls_policy: an ``IPolicyForHTTPS``; None: the system's certificate authorities.
        :raises ValueError: the source has another form.  The error does not quote the source, which may have a
            password.
        """
        self._address, login = token_api_source(source)
        self._headers = {"Accept": ["application/json, text/plain"], **login}
        self._client = BoundedClient(reactor, "the token API", tls_policy=tls_policy)

    def start(self) -> None:
        """See ITokenPlugin.  There is nothing to do: each look-up connects if it needs to."""

    def stop(self) -> Any:
        """See ITokenPlugin."""
        return self._client.stop()

    def renewal(self) -> Callable[[], None]:
        """See ITokenPlugin.  Each look-up asks the HTTP server, so there is nothing to read again."""
        return lambda: None

    async def look_up(self, token: str) -> Target:
        """See ITokenPlugin."""
        # Servers resolve ".." in a path, even if its dots are percent-encoded.  So the token ".." would lead to another
        # resource of the API.
        if not token.isprintable() or not token.strip("."):
            raise InvalidToken("the token contains characters that are not printable, or only dots")
        address = self._address.replace(_MARK, quote(token, safe=""))
        status, body = await self._client.get(address, self._headers)
        if status in _UNKNOWN:
            raise InvalidToken(f"the token API answers with HTTP status {status}")
        if not 200 <= status < 300:
            raise ServiceUnavailable(f"the token API answers with HTTP status {status}")
        try:
            return self.target(body)
        except ValueError as error:
            raise ServiceUnavailable(f"the answer of the token API is unusable: {error}") from None

    def target(self, body: bytes) -> Target:
        """Return the target that an answer contains.

        :raises ValueError: the answer has another form; the error does not quote the answer.
        """
        try:
            return parse_target(body.decode("ascii"))
        except UnicodeDecodeError:
            raise ValueError("not ASCII") from None


class JSONTokenApi(BaseTokenAPI):
    """Like BaseTokenAPI, with JSON answers: ``host``, ``port``, and optionally ``password`` (of the VNC server)."""

    def target(self, body: bytes) -> Target:
        """See BaseTokenAPI."""
        found = strict_json.loads(body)
        if not isinstance(found, dict):
            raise ValueError("not a JSON object")
        host, port, password = found.get("host"), found.get("port"), found.get("password")
        if not isinstance(password, str | None):
            raise ValueError("the password is not a text")
        if host == "unix_socket" and isinstance(port, str):
            place = parse_target(f"{host}:{port}")
        else:
            place = target_of(host, port)
        return Target(host=place.host, port=place.port, socket=place.socket, password=password)


def token_api_source(source: str) -> tuple[str, dict[str, list[str]]]:
    """Return the URL of a token source without user and password, and header fields with the user and password.

    :raises ValueError: the source has another form.
    """
    form = f"not of the form https://host/path/{_MARK}"
    try:
        url = urlsplit(source)
        host, _ = url.hostname, url.port  # an invalid port raises ValueError only when it is read
    except ValueError:
        raise ValueError(form) from None
    if not host or url.scheme not in ("http", "https") or url.fragment or not source.isascii() or " " in source:
        raise ValueError(form)
    if source.count(_MARK) != 1 or _MARK in url.netloc:
        raise ValueError(f"{form}, with one {_MARK} in its path or query")
    if url.scheme == "http" and not is_loopback(host):
        raise ValueError("plain http is for this machine alone, since the tokens can be read on the way; use https")
    login, at, netloc = url.netloc.rpartition("@")
    headers = {"Authorization": [f"Basic {b64encode(unquote(login).encode()).decode()}"]} if at else {}
    return url._replace(netloc=netloc).geturl(), headers
