"""The control socket of a service, in its unit's RuntimeDirectory: ``novnc-reload`` asks there for a reload.

The service answers with the outcome, which a signal cannot carry.  systemd has ``Type=notify-reload`` for that, but
only from version 253 on.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.protocols.policies import TimeoutMixin

from novnc_twisted.service.exits import one_line
from novnc_twisted.service.flagfile import FlagFile

NAME = "control"
"""The socket's name in the RuntimeDirectory."""

ASK_TIMEOUT = 5.0
"""Seconds within which a client must send its request."""

MAX_REQUEST = 4 << 20
"""Bytes of the longest request: it contains the configuration files."""

Reload = Callable[["list[FlagFile] | None"], "Deferred[str | None]"]
"""Reloads the service; with the configuration files, if the client has sent them."""

_log = Logger()


def files_of(text: bytes) -> list[FlagFile]:
    """Parse the configuration files of a request.

    :raises ValueError: it is not JSON of this form.
    :raises TypeError: the same.
    """
    return [FlagFile.of_text(str(path), str(content)) for path, content in json.loads(text)]


def listen_for_reload(reactor: Any, reload: Reload) -> Any:
    """Listen in the RuntimeDirectory, if systemd has made one; workers have none.

    If the folder cannot be used, for example because RUNTIME_DIRECTORY is that of another unit, a warning is logged,
    and the service starts without the socket.

    :return: the listening port, or None.
    """
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if not folder:
        return None
    path = Path(folder) / NAME
    try:
        # A socket that a killed process left behind would make the bind fail.
        path.unlink(missing_ok=True)
        return reactor.listenUNIX(str(path), ControlFactory(reload), mode=0o600)
    except (OSError, CannotListenError) as error:
        _log.warn(
            "can't listen on {path} ({error}), so that novnc-reload cannot reach this service; SIGHUP reloads it. "
            "RUNTIME_DIRECTORY names the folder",
            path=str(path),
            error=one_line(error),
        )
        return None


class ControlFactory(Factory):
    """Accepts connections; the socket's mode admits the service's user and root."""

    noisy = False

    def __init__(self, reload: Reload) -> None:
        """:param reload: reloads the service."""
        self.reload = reload

    def buildProtocol(self, addr: Any) -> Any:
        """See Factory."""
        protocol = Control()
        protocol.factory = self
        return protocol


class Control(LineOnlyReceiver, TimeoutMixin):
    """Answers the line ``reload [FILES]`` with ``ok`` or ``failed: REASON``.

    FILES are the path and the text of each configuration file, as JSON.  Under systemd, the service itself cannot read
    the present files: it has a copy of those that there were at its start (``LoadCredential``).
    """

    factory: ControlFactory
    delimiter = b"\n"
    MAX_LENGTH = MAX_REQUEST

    def connectionMade(self) -> None:
        """See Protocol."""
        self.setTimeout(ASK_TIMEOUT)

    def lineReceived(self, line: bytes) -> None:
        """See LineOnlyReceiver."""
        self.setTimeout(None)
        request, _, argument = line.partition(b" ")
        try:
            files = files_of(argument) if argument else None
        except (ValueError, TypeError):
            request = b""
        if request == b"reload":
            self.factory.reload(files).addCallback(self._answer)
        else:
            self._answer("the only request is: reload [FILES]")

    def _answer(self, failed: str | None) -> None:
        # The client may have left while the service reloaded.
        if self.transport is not None:
            self.transport.write((f"failed: {failed}" if failed else "ok").encode() + b"\n")
            self.transport.loseConnection()
