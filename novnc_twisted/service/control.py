"""The control socket of a service, in its unit's RuntimeDirectory: ``novnc-reload`` asks there for a reload.

The service answers with the outcome, which a signal cannot carry.  systemd has ``Type=notify-reload`` for that, but
only from version 253 on.
"""

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

NAME = "control"
"""The socket's name in the RuntimeDirectory."""

ASK_TIMEOUT = 5.0
"""Seconds within which a client must send its request."""

Reload = Callable[[], "Deferred[str | None]"]

_log = Logger()


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
    """Answers the line ``reload`` with ``ok`` or ``failed: REASON``."""

    factory: ControlFactory
    delimiter = b"\n"
    MAX_LENGTH = 64

    def connectionMade(self) -> None:
        """See Protocol."""
        self.setTimeout(ASK_TIMEOUT)

    def lineReceived(self, line: bytes) -> None:
        """See LineOnlyReceiver."""
        self.setTimeout(None)
        if line == b"reload":
            self.factory.reload().addCallback(self._answer)
        else:
            self._answer("the only request is: reload")

    def _answer(self, failed: str | None) -> None:
        # The client may have left while the service reloaded.
        if self.transport is not None:
            self.transport.write((f"failed: {failed}" if failed else "ok").encode() + b"\n")
            self.transport.loseConnection()
