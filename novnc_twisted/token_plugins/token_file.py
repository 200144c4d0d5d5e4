"""``TokenFile`` and ``ReadOnlyTokenFile``: a file, or a folder of files, with lines ``token: host:port``."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twisted.logger import Logger
from zope.interface import implementer

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.token_plugins.interfaces import LONGEST_TOKEN, ITokenPlugin
from novnc_twisted.token_plugins.target import Target, parse_target

MAX_BYTES: Final = 16 << 20
"""Bytes of all files together; the memory for them is bounded."""

MAX_FILES: Final = 10_000
"""Files of a folder."""

_SEPARATOR: Final = re.compile(r":\s+")

_State = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and time of modification of each file."""


@implementer(ITokenPlugin)
class TokenFile:
    """Looks tokens up in a file, or in all files of a folder, as they are now.

    Tokens are kept under their SHA-256.  A line with a mistake is logged with its number, without the token.
    """

    log = Logger()
    max_token = LONGEST_TOKEN
    directories: tuple[str, ...] = ()

    def __init__(self, source: str) -> None:
        """Read the source.

        :raises ValueError: it can't be read; the text is one sentence.
        """
        self._source = source
        self._state: _State = ()
        self._targets: dict[str, Target] = {}
        try:
            self._load(self._state_now())
        except (OSError, ValueError) as error:
            raise ValueError(_reason(source, error)) from None

    def start(self) -> None:
        """See ITokenPlugin."""

    def stop(self) -> None:
        """See ITokenPlugin."""

    async def look_up(self, token: str) -> Target:
        """See ITokenPlugin."""
        self._refresh()
        found = self._targets.get(hash_token(token))
        if found is None:
            raise InvalidToken("no token file has it")
        return found

    def _refresh(self) -> None:
        try:
            state = self._state_now()
            if state != self._state:
                self._load(state)
        except (OSError, ValueError) as error:
            raise ServiceUnavailable(_reason(self._source, error)) from None

    def _state_now(self) -> _State:
        path = Path(self._source)
        if not path.is_dir():
            return (_state_of(path, path.stat()),)
        with os.scandir(path) as entries:
            found = [(entry.path, entry.stat()) for entry in entries if entry.is_file()]
        if len(found) > MAX_FILES:
            raise ValueError(f"the folder has more than {MAX_FILES} files")
        return tuple(sorted(_state_of(Path(name), status) for name, status in found))

    def _load(self, state: _State) -> None:
        if sum(size for _, _, size, _ in state) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
        targets: dict[str, Target] = {}
        for name, *_ in state:
            for token, target in self._lines(Path(name)):
                targets[hash_token(token)] = target
        self._targets, self._state = targets, state

    def _lines(self, path: Path) -> Iterator[tuple[str, Target]]:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("it is neither a file nor a folder")
            # The file may have grown since its size was added up.
            text = file.read(MAX_BYTES + 1)[:MAX_BYTES].decode("utf-8", "surrogateescape")
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            token, *rest = _SEPARATOR.split(line, maxsplit=1)
            try:
                if not rest or not token:
                    raise ValueError("not of the form token: host:port")
                yield token, parse_target(rest[0])
            except ValueError as error:
                self.log.warn(
                    "{path}: line {number} is skipped: {error}", path=str(path), number=number, error=str(error)
                )


class ReadOnlyTokenFile(TokenFile):
    """The same; the files are read once, when the proxy starts."""

    def _refresh(self) -> None:
        pass


def _state_of(path: Path, status: os.stat_result) -> tuple[str, int, int, int]:
    return str(path), status.st_ino, status.st_size, status.st_mtime_ns


def _reason(source: str, error: Exception) -> str:
    return f"{source}: {error.strerror if isinstance(error, OSError) else error}"
