"""The part of a TestCase that the helpers of tests/support need, for a program."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred


class Case:
    """Collects clean-ups; :meth:`close` runs them, the last one first."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="failures-", dir="/tmp"))
        self._cleanups: list[Callable[[], Any]] = []
        self._made = 0
        self.addCleanup(rmtree, self.folder, ignore_errors=True)

    def addCleanup(self, function: Callable[..., Any], *arguments: Any, **more: Any) -> None:
        """Call this at the end."""
        self._cleanups.append(lambda: function(*arguments, **more))

    def mktemp(self) -> str:
        """Return a path that does not exist yet."""
        self._made += 1
        return str(self.folder / str(self._made))

    async def close(self) -> None:
        """Run the clean-ups."""
        while self._cleanups:
            cleanup = self._cleanups.pop()
            await maybeDeferred(lambda clean=cleanup: _started(clean()))


def _started(result: Any) -> Any:
    return Deferred.fromCoroutine(result) if hasattr(result, "send") else result
