"""Prepares request paths for the access log: without secrets, with a limited length, on one line."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final
from urllib.parse import unquote

from novnc_twisted.access.display import one_line, scrub

HIDDEN: Final = "***"
_MAX_LOGGED: Final = 300


class LoggedPaths:
    """Shows request paths in the access log.

    A path of the application is shown in full, unless its variable segments are secret.  If they are secret, or
    if the application has no such path, only those segments are shown that are also words in the application's paths.
    People paste tokens into paths, and a console token looks like the id of a server.  A variable segment is therefore
    shown only where the application expects an id.
    """

    def __init__(self, patterns: Iterable[str] = (), *, secret_below: Collection[str] = ()) -> None:
        """Prepare to show paths.

        :param patterns: the paths of the application, without the first slash; ``{}`` stands for a variable segment.
        :param secret_below: literal segments of patterns, such as ``tokens``.  If a pattern contains one of them, the
            variable segments of its paths are hidden.
        """
        split = {tuple(pattern.split("/")) for pattern in patterns}
        self._words = {segment for pattern in split for segment in pattern} - {"{}"}
        self._patterns = [pattern for pattern in split if not any(word in pattern for word in secret_below)]

    def show(self, path: bytes) -> str:
        """Return a path as it may be logged, with ``***`` for hidden segments, and ``?`` for unsafe characters."""
        shown = path.decode("latin-1").removeprefix("/").split("/")
        # Decode before comparing, as the application does, because a client may escape any letter.
        segments = [unquote(segment) for segment in shown]
        # A slash at the end adds no segment.
        known = segments[:-1] if segments[-1] == "" else segments
        if not any(_matches(pattern, known) for pattern in self._patterns):
            shown = [segment if segment in self._words or not segment else HIDDEN for segment in segments]
        return one_line(scrub("/" + "/".join(shown)), _MAX_LOGGED)


def _matches(pattern: tuple[str, ...], segments: Sequence[str]) -> bool:
    return len(pattern) == len(segments) and all(
        part in ("{}", segment) for part, segment in zip(pattern, segments, strict=True)
    )
