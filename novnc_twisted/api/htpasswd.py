"""The user file of http_basic: ``user:hash`` or ``user:hash:project``, bcrypt ``$2b$`` or ``$2y$`` (htpasswd -B)."""

import re
from collections.abc import Mapping
from pathlib import Path

from twisted.logger import Logger

from novnc_twisted.api.caller import User

_HASH = re.compile(r"\$2[by]\$(0[4-9]|1[0-9]|2[0-9]|3[01])\$[./A-Za-z0-9]{53}", re.ASCII)
_MAX_SIZE = 1 << 20
_MAX_NAME = 255


def parse(text: str, name: str) -> dict[str, User]:
    """The users of a file's text; blank lines and lines that begin with ``#`` say nothing.

    :param name: the file, for the error.
    :raises ValueError: one line which names the file and the line, never a hash.
    """
    users: dict[str, User] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{name}, line {number}"
        user, *rest = line.strip().split(":")
        if len(rest) not in (1, 2):
            raise ValueError(f"{where}: user:hash or user:hash:project is expected")
        if not user or len(user) > _MAX_NAME or not user.isprintable():
            raise ValueError(f"{where}: the user has no usable name")
        if _HASH.fullmatch(rest[0]) is None:
            raise ValueError(f"{where}: no bcrypt hash ($2b$ or $2y$); htpasswd -B makes one")
        project = rest[1].strip() if len(rest) == 2 else None
        if project == "" or (project is not None and not project.isprintable()):
            # An admin is a line without a second colon: half a line must not make one.
            raise ValueError(f"{where}: the project is empty; leave out the colon to make an admin")
        if user in users:
            raise ValueError(f"{where}: the user is there twice")
        users[user] = User(user, project, rest[0])
    if not users:
        raise ValueError(f"{name} holds no user")
    return users


class UserFile:
    """The file, read again when it changes.

    :raises ValueError: where it can't be read or has a line that is no user.
    """

    _log = Logger()

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._stamp = self._seen()
        self._users = self._read()

    def users(self) -> Mapping[str, User]:
        """Everybody, as the file says now; as it said before where it is unusable now, which is logged once."""
        stamp = self._seen()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._users = self._read()
            except ValueError as error:
                self._log.error("{why}; the users of before stay", why=error)
            else:
                self._log.info("Read {path} again, users: {count}", path=self._path, count=len(self._users))
        return self._users

    def _seen(self) -> tuple[int, ...]:
        """What tells two states of the file apart."""
        try:
            stat = self._path.stat()
        except OSError:
            return ()
        return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino

    def _read(self) -> dict[str, User]:
        try:
            with self._path.open("rb") as file:
                content = file.read(_MAX_SIZE + 1)
        except OSError as error:
            raise ValueError(f"{self._path}: {error.strerror}") from None
        if len(content) > _MAX_SIZE:
            raise ValueError(f"{self._path} is larger than {_MAX_SIZE} bytes")
        try:
            return parse(content.decode("utf-8"), str(self._path))
        except UnicodeDecodeError:
            raise ValueError(f"{self._path} is not UTF-8") from None
