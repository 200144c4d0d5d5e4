"""The user file of http_basic: ``user:hash`` or ``user:hash:project``, bcrypt ``$2b$`` or ``$2y$`` (htpasswd -B)."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from twisted.logger import Logger

from novnc_twisted.identity.users import User

WEAK_COST = 9
"""Up to this bcrypt cost, a warning is logged: an attacker who has the file could try passwords too fast."""

SLOW_COST = 15
"""From this bcrypt cost on, a warning is logged: each log-in takes seconds of CPU time."""

MAX_WARNINGS = 20
"""Maximum number of warnings each time the file is read; further ones are only counted."""

_HASH = re.compile(r"\$2[by]\$(0[4-9]|1[0-9]|2[0-9]|3[01])\$[./A-Za-z0-9]{53}", re.ASCII)
# Control characters, line separators and lone surrogates.
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MAX_SIZE = 1 << 20
_MAX_NAME = 255


class UserRecords(NamedTuple):
    """The content of a user file.

    :ivar users: name -> user.
    :ivar warnings: one line of text for each mistake that leaves the file usable.  The texts contain no hash.
    """

    users: dict[str, User]
    warnings: list[str]


def parse(text: str, name: str, admin_users: Collection[str] = ()) -> UserRecords:
    """Read the users from a file's text; blank lines and lines that begin with ``#`` are skipped.

    :param name: the file's name, for errors and warnings.
    :param admin_users: names of the administrators.  A missing project does not make a user an administrator, because
        ``htpasswd -B`` drops the project when it changes a password.
    :raises ValueError: a line is malformed, a user has two lines, or there is no user.  The text is one sentence with
        the name of the file and, if a line is the cause, its number.  The text contains no hash.
    """
    users: dict[str, User] = {}
    warnings: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{name}, line {number}"
        user = _user(line.strip(), where, admin_users)
        if user.name in users:
            raise ValueError(f"{where}: this user has another line")
        users[user.name] = user
        warnings += [f"{where}: {mistake}" for mistake in _likely_mistakes(user)]
    if not users:
        raise ValueError(f"{name} has no user")
    for admin in admin_users:
        if admin not in users:
            warnings.append(f"{name} has no user {admin}, but [api] admin_users contains this name")
    return UserRecords(users, warnings)


def read(path: Path, admin_users: Collection[str] = ()) -> UserRecords:
    """Read the users from a file.

    :param admin_users: names of the administrators.
    :raises ValueError: the file cannot be read, is too large or not UTF-8, or is refused by :func:`parse`.
    """
    try:
        with path.open("rb") as file:
            # One byte more than allowed shows that the file is too large, without reading the rest.
            content = file.read(_MAX_SIZE + 1)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if len(content) > _MAX_SIZE:
        raise ValueError(f"{path} is larger than {_MAX_SIZE} bytes")
    try:
        # Some editors on Windows put a byte order mark before the first name.
        return parse(content.decode("utf-8-sig"), str(path), tuple(dict.fromkeys(admin_users)))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None


def _user(line: str, where: str, admin_users: Collection[str]) -> User:
    """Return the user of one line; ValueError if it is malformed."""
    user, *rest = line.split(":")
    if len(rest) not in (1, 2):
        raise ValueError(f"{where}: user:hash or user:hash:project is expected")
    if not user or len(user) > _MAX_NAME or _UNUSABLE.search(user):
        raise ValueError(f"{where}: the user has no usable name")
    if _HASH.fullmatch(rest[0]) is None:
        raise ValueError(f"{where}: no bcrypt hash ($2b$ or $2y$); htpasswd -B -C 12 makes one")
    project = rest[1].strip() if len(rest) == 2 else None
    if project is not None and (not project or _UNUSABLE.search(project)):
        raise ValueError(f"{where}: the project is empty or not usable; a line without a project ends with the hash")
    return User(user, project, rest[0], is_admin=user in admin_users)


def _likely_mistakes(user: User) -> list[str]:
    """Return what is probably a mistake in a usable line."""
    mistakes = []
    if user.project is None and not user.is_admin:
        mistakes.append(
            f"user {user.name} has no project and sees no servers. Add :project to the line, or make the user an "
            "administrator with [api] admin_users"
        )
    cost = int(user.password_hash[4:6])
    if cost <= WEAK_COST:
        mistakes.append(f"the hash of user {user.name} has the weak bcrypt cost {cost}; make it with htpasswd -B -C 12")
    if cost >= SLOW_COST:
        mistakes.append(
            f"the hash of user {user.name} has the bcrypt cost {cost}, with which a log-in takes seconds of "
            "CPU time; make it with htpasswd -B -C 12"
        )
    return mistakes


class UserFile:
    """The user file, read again when it changes.

    :param admin_users: names of the administrators among its users.
    :raises ValueError: the file is unusable; see :func:`read`.
    """

    _log = Logger()

    def __init__(self, path: str | Path, admin_users: Collection[str] = ()) -> None:
        self._path = Path(path)
        self._admin_users = tuple(dict.fromkeys(admin_users))
        self._stamp = self._seen()
        self._users = self._read()

    def users(self) -> Mapping[str, User]:
        """Return the users of the file; while it is unusable, return those of its last usable content."""
        stamp = self._seen()
        if stamp != self._stamp:
            # The stamp is stored even if the file is unusable, so that the error is logged once, and not at each call.
            self._stamp = stamp
            try:
                self._users = self._read()
            except ValueError as error:
                self._log.error("{why}; the users that were read before stay valid", why=error)
            else:
                self._log.info("Read {path} again, users: {count}", path=self._path, count=len(self._users))
        return self._users

    def _seen(self) -> tuple[int, ...]:
        """Return values that change whenever the file changes."""
        try:
            stat = self._path.stat()
        except OSError:
            return ()
        # One value is not enough: an edit may keep the size, and "cp -p" may keep the modification time.
        return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino

    def _read(self) -> dict[str, User]:
        users, warnings = read(self._path, self._admin_users)
        for warning in warnings[:MAX_WARNINGS]:
            self._log.warn("{why}", why=warning)
        if len(warnings) > MAX_WARNINGS:
            self._log.warn(
                "{path}: further warnings of these kinds: {count}", path=self._path, count=len(warnings) - MAX_WARNINGS
            )
        return users
