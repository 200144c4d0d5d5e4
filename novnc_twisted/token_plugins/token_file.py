"""``TokenFile`` and ``ReadOnlyTokenFile``: a file, or a folder of files, with lines ``token: host:port``."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from twisted.logger import Logger
from zope.interface import implementer

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.token_plugins.interfaces import LONGEST_TOKEN, ITokenPlugin
from novnc_twisted.token_plugins.target import Target, parse_target

MAX_BYTES: Final = 16 << 20
"""Maximum number of bytes of all files together, to bound the memory."""

MAX_FILES: Final = 10_000
"""Maximum number of files in a folder."""

MAX_FAULTS: Final = 20
"""Maximum number of faulty lines that are logged for one load.  If a file is not a token file, every line may be
faulty."""

_TOO_LARGE: Final = f"it is larger than {MAX_BYTES >> 20} MiB"

_SEPARATOR: Final = re.compile(r":\s+")

_State = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and modification time of each file."""


@implementer(ITokenPlugin)
class TokenFile:
    """Looks up tokens in the present content of a file, or of all files in a folder.

    Tokens are kept in memory as SHA-256.  A faulty line is logged with its number, but without the token.
    """

    log = Logger()
    max_token = LONGEST_TOKEN
    reads_once = False
    directories: tuple[str, ...] = ()

    def __init__(self, source: str) -> None:
        """Read the files.

        :param source: the path of the file or of the folder.
        :raises ValueError: the source cannot be read; the text is one sentence.
        """
        self._source = source
        self._state: _State = ()
        self._targets: dict[str, Target] = {}
        self._faults = _Faults()  # the faults of the last load, until they are logged
        try:
            self._load(self._state_now())
        except (OSError, ValueError) as error:
            raise ValueError(_reason(source, error)) from None

    def start(self) -> None:
        """See ITokenPlugin.  Logs which lines were skipped and why, without their text."""
        # Logged here and not while reading: when the proxy starts, it first checks its options with another object of
        # this class, which reads the same files.  Each line would be logged twice.
        faults, self._faults = self._faults, _Faults()
        for line in faults.lines:
            self.log.warn("{line}", line=line)
        if faults.more:
            self.log.warn("{count} further lines of token files are skipped", count=faults.more)

    def stop(self) -> None:
        """See ITokenPlugin."""

    def renewal(self) -> Callable[[], None]:
        """See ITokenPlugin.  Only needed for ReadOnlyTokenFile: TokenFile reads changed files at each look-up."""
        fresh = type(self)(self._source)

        def use() -> None:
            self._targets, self._state, self._faults = fresh._targets, fresh._state, fresh._faults
            self.start()

        return use

    async def look_up(self, token: str) -> Target:
        """See ITokenPlugin."""
        self._refresh()
        found = self._targets.get(hash_token(token))
        if found is None:
            raise InvalidToken("no token file contains the token")
        return found

    def _refresh(self) -> None:
        try:
            state = self._state_now()
            if state != self._state:
                self._load(state)
                self.start()
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
            raise ValueError(_TOO_LARGE)
        targets: dict[str, Target] = {}
        faults = _Faults()
        left = MAX_BYTES
        for name, *_ in state:
            text = _read(Path(name), left)
            left -= len(text)
            for token, target in _lines(name, text, faults):
                targets[hash_token(token)] = target
        self._targets, self._state, self._faults = targets, state, faults


class ReadOnlyTokenFile(TokenFile):
    """Like TokenFile, but reads the files only at the start of the proxy and at each reload."""

    reads_once = True

    def _refresh(self) -> None:
        pass


class _Faults:
    """Faulty lines of token files.

    :ivar lines: a sentence for each of the first :data:`MAX_FAULTS` faulty lines.
    :ivar more: the number of further faulty lines.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.more = 0

    def add(self, line: str) -> None:
        if len(self.lines) < MAX_FAULTS:
            self.lines.append(line)
        else:
            self.more += 1


def _read(path: Path, limit: int) -> bytes:
    """Return the content of a file.

    :param limit: maximum number of bytes.
    :raises ValueError: the path is not a regular file, or the file has more than ``limit`` bytes.
    """
    # If the path is a named pipe, open() without O_NONBLOCK would wait until another process opens it for writing.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is neither a file nor a folder")
        content = file.read(limit + 1)
    # The file may have grown since its size was checked.  If only its beginning were used, tokens would be missing, and
    # the last line could have a wrong port.
    if len(content) > limit:
        raise ValueError(_TOO_LARGE)
    return content


def _lines(name: str, text: bytes, faults: _Faults) -> Iterator[tuple[str, Target]]:
    """Yield the tokens of a file with their targets, and add a sentence to ``faults`` for each faulty line.

    :param name: the path of the file, for these sentences.
    """
    for number, line in enumerate(text.decode("utf-8", "surrogateescape").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        token, *rest = _SEPARATOR.split(line, maxsplit=1)
        try:
            if not rest or not token:
                raise ValueError("not of the form token: host:port")
            yield token, parse_target(rest[0])
        except ValueError as error:
            faults.add(f"{name}: line {number} is skipped: {error}")


def _state_of(path: Path, status: os.stat_result) -> tuple[str, int, int, int]:
    return str(path), status.st_ino, status.st_size, status.st_mtime_ns


def _reason(source: str, error: Exception) -> str:
    return f"{source}: {error.strerror if isinstance(error, OSError) else error}"
