"""A socket in the unit's RuntimeDirectory on which ``novnc-reload`` asks a service to reload, and gets the outcome.

A signal has no answer, and systemd understands the answer by ``Type=notify-reload`` from version 253 on only.
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
"""Seconds in which a client must have sent its request."""

Reload = Callable[[], "Deferred[str | None]"]

_log = Logger()


def listen_for_reload(reactor: Any, reload: Reload) -> Any:
    """Listen where systemd has made a RuntimeDirectory; else, and for workers, nothing happens.

    A folder that cannot be used, as where RUNTIME_DIRECTORY is another unit's, is logged and hinders no start.

    :return: the listening port, or None.
    """
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if not folder:
        return None
    path = Path(folder) / NAME
    try:
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
    """Accepts those who may open the socket: the service's user and root."""

    noisy = False

    def __init__(self, reload: Reload) -> None:
        """Take what reloads the service."""
        self.reload = reload

    def buildProtocol(self, addr: Any) -> Any:
        """See Factory."""
        protocol = Control()
        protocol.factory = self
        return protocol


class Control(LineOnlyReceiver, TimeoutMixin):
    """The line ``reload`` is answered by ``ok`` or by ``failed: REASON``."""

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
        if self.transport is not None:
            self.transport.write((f"failed: {failed}" if failed else "ok").encode() + b"\n")
            self.transport.loseConnection()
