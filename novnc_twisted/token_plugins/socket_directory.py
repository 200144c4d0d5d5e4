"""``UnixDomainSocketDirectory``: the token is the path of a unix socket, relative to a folder."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from zope.interface import implementer

from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.token_plugins.interfaces import LONGEST_TOKEN, ITokenPlugin
from novnc_twisted.token_plugins.target import Target
from novnc_twisted.token_plugins.token_file_name import is_file_name, is_missing


@implementer(ITokenPlugin)
class UnixDomainSocketDirectory:
    """Finds sockets below a folder.

    No part of a token may be ``..`` or a symbolic link.  When a session connects, ``pinned_socket`` of
    ``session/upstream/socket_path.py`` checks the path again.  That check has no race condition.  It accepts only
    sockets of root, QEMU's user and the proxy's user.

    :ivar directories: the folder, as the only item.  The proxy adds it to the folders of ``[vnc] socket_directories``.
    """

    max_token = LONGEST_TOKEN
    reads_once = False

    def __init__(self, source: str) -> None:
        """Check that the source is a folder.

        :param source: the folder.
        :raises ValueError: the source is not a folder.
        :raises OSError: the source cannot be examined, for example because permission is missing.
        """
        if not Path(source).is_dir():
            raise ValueError(f"{source} is not a folder")
        self._folder = os.path.abspath(source)  # noqa: PTH100 (resolve() would follow symbolic links of this path)
        self.directories = (self._folder,)

    def start(self) -> None:
        """See ITokenPlugin."""

    def stop(self) -> None:
        """See ITokenPlugin."""

    def renewal(self) -> Callable[[], None]:
        """See ITokenPlugin.  Each look-up reads the source, so there is nothing to read again."""
        return lambda: None

    async def look_up(self, token: str) -> Target:
        """See ITokenPlugin."""
        if not all(is_file_name(step) for step in token.split("/")):
            raise InvalidToken("the token is not the path of a socket")
        path = f"{self._folder}/{token}"
        try:
            mode = os.lstat(path).st_mode
            real = os.path.realpath(path)
        except OSError as error:
            if is_missing(error, self._folder):
                raise InvalidToken("the token names no existing socket") from None
            raise ServiceUnavailable(f"a file in {self._folder} can't be examined: {error.strerror}") from None
        except ValueError:
            raise InvalidToken("the token names no existing socket") from None
        if not stat.S_ISSOCK(mode):
            raise InvalidToken("the file that the token names is not a socket")
        if real != f"{os.path.realpath(self._folder)}/{token}":
            raise InvalidToken("the path in the token contains a symbolic link")
        return Target(socket=path)
