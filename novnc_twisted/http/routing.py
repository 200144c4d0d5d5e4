"""Finds the handler for a method and a path."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response

Handler = Callable[..., Awaitable[Response]]
"""Answers a request.

The arguments are the path segments that match the ``{}`` of the route's pattern (see :meth:`Resource.routes`).  Some
applications pass one more argument, before these: an object that describes the request.
"""

NOT_FOUND: Final = "The resource could not be found."


class Resource(Protocol):
    """A group of paths and their handlers."""

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """Return the method, the pattern (``{}`` matches one segment of a path) and the handler of each route."""
        ...


class Router:
    """The routes of an application.

    :ivar table: method and pattern of each route.
    :ivar names: the first segments of all paths.
    """

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._routes = [
            (method, tuple(pattern.split("/")), handler)
            for resource in resources
            for method, pattern, handler in resource.routes()
        ]
        # Patterns with fewer variable segments first: "servers/detail" before "servers/{}".
        self._routes.sort(key=lambda route: route[1].count("{}"))
        self.table = frozenset((method, "/".join(pattern)) for method, pattern, _ in self._routes)
        self.names = frozenset(pattern[0] for _, pattern, _ in self._routes)

    def patterns(self, prefix: str) -> set[str]:
        """Return the patterns of all routes, with ``prefix`` and a slash before each."""
        return {f"{prefix}/{pattern}" for _, pattern in self.table}

    def match(self, method: str, segments: tuple[str, ...]) -> tuple[Handler, tuple[str, ...]]:
        """Return the handler, and the segments that match the ``{}`` of its pattern.

        :raises HTTPError: 404, or 405 with the allowed methods.
        """
        allowed: set[str] = set()
        for known, pattern, handler in self._routes:
            arguments = _arguments(pattern, segments)
            if arguments is None:
                continue
            if method == known or (method == "HEAD" and known == "GET"):
                return handler, arguments
            allowed.add(known)
        if allowed:
            raise HTTPError(
                405,
                "The method specified is not allowed for this resource.",
                (("Allow", ", ".join(sorted(allowed))),),
            )
        raise HTTPError(404, NOT_FOUND)


def _arguments(pattern: tuple[str, ...], segments: tuple[str, ...]) -> tuple[str, ...] | None:
    if len(pattern) != len(segments):
        return None
    pairs = list(zip(pattern, segments, strict=True))
    if any(part not in ("{}", segment) for part, segment in pairs):
        return None
    return tuple(segment for part, segment in pairs if part == "{}")
