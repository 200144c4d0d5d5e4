"""``TokenFileName``: the token is the name of a file that contains ``host:port``."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from zope.interface import implementer

from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.token_plugins.interfaces import LONGEST_TOKEN, ITokenPlugin
from novnc_twisted.token_plugins.target import Target, parse_target

_LONGEST: Final = 1024
"""Maximum number of bytes that are read from a file."""

_MISSING: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV)
"""Errors of files that do not exist, or that are symbolic links or special files."""


@implementer(ITokenPlugin)
class TokenFileName:
    """Reads the file that has the token as its name.

    Tokens with a slash, and files that are symbolic links, count as unknown, so that no token leads out of the folder.
    """

    max_token = LONGEST_TOKEN
    reads_once = False
    directories: tuple[str, ...] = ()

    def __init__(self, source: str) -> None:
        """Check that the source is a folder.

        :param source: the folder.
        :raises ValueError: the source is not a folder.
        :raises OSError: the source cannot be examined, for example because permission is missing.
        """
        if not Path(source).is_dir():
            raise ValueError(f"{source} is not a folder")
        self._folder = os.path.abspath(source)  # noqa: PTH100 (keeps symbolic links, which the administrator has made)

    def start(self) -> None:
        """See ITokenPlugin."""

    def stop(self) -> None:
        """See ITokenPlugin."""

    def renewal(self) -> Callable[[], None]:
        """See ITokenPlugin.  Each look-up reads the source, so there is nothing to read again."""
        return lambda: None

    async def look_up(self, token: str) -> Target:
        """See ITokenPlugin."""
        if not is_file_name(token):
            raise InvalidToken("the token is not the name of a file")
        try:
            text = _read(os.path.join(self._folder, token))  # noqa: PTH118 (joins the token unchanged)
        except OSError as error:
            if is_missing(error, self._folder):
                raise InvalidToken("no file has the token as its name") from None
            raise ServiceUnavailable(f"a file in {self._folder} can't be read: {error.strerror}") from None
        except UnicodeError:
            raise InvalidToken("the file of the token is not text in UTF-8") from None
        except ValueError as error:
            raise ServiceUnavailable(f"the file of a token in {self._folder} is unusable: {error}") from None
        try:
            return parse_target(text)
        except ValueError as error:
            raise ServiceUnavailable(f"the file of a token in {self._folder} is unusable: {error}") from None


def is_file_name(token: str) -> bool:
    """Return whether a token is printable, not empty, has no slash, and is neither ``.`` nor ``..``."""
    return bool(token) and token not in (".", "..") and "/" not in token and token.isprintable()


def is_missing(error: OSError, folder: str) -> bool:
    """Return whether an error means that the folder exists, but has no suitable file of the given name."""
    return error.errno in _MISSING and os.path.isdir(folder)  # noqa: PTH112 (raises no error)


def _read(path: str) -> str:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise FileNotFoundError(errno.ENOENT, "it is not a regular file")
        content = os.read(handle, _LONGEST + 1)
    finally:
        os.close(handle)
    # If only the beginning of a longer file were read, the port could be wrong.
    if len(content) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST} bytes")
    return content.decode("utf-8")
