"""The control socket of a service, to which ``novnc-reload`` sends its requests.

The socket is in the RuntimeDirectory of the service's unit.  The service answers each request with its outcome.  A
signal has no answer.  (``Type=notify-reload``, which reports at least the end of a reload, needs systemd 253.)
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.protocols.policies import TimeoutMixin

from novnc_twisted.access import strict_json
from novnc_twisted.service.exits import one_line
from novnc_twisted.service.flagfile import FlagFile

NAME = "control"
"""The socket's name in the RuntimeDirectory."""

ASK_TIMEOUT = 5.0
"""Maximum number of seconds from the connection of a client to the end of its request."""

MAX_REQUEST = 4 << 20
"""Maximum number of bytes of a request, which may contain configuration files."""

Reload = Callable[["list[FlagFile] | None"], "Deferred[str | None]"]
"""Reloads the service, with the configuration files if the client has sent them; fires with an error, or with None."""

TakeOver = Callable[[], "Deferred[str]"]
"""Replaces the service by a new process, as SIGUSR2 does; fires with the answer for the client."""

_log = Logger()


def files_of(text: bytes) -> list[FlagFile]:
    """Parse the configuration files of a request.

    :raises ValueError: the text is not a JSON list of pairs of texts.  For some such texts, the error is a TypeError.
    """
    pairs = [(path, content) for path, content in strict_json.loads(text)]
    if not all(isinstance(value, str) for pair in pairs for value in pair):
        raise ValueError("not a list of pairs of texts")
    return [FlagFile.of_text(path, content) for path, content in pairs]


def listen_for_reload(reactor: Any, reload: Reload, take_over: TakeOver) -> Any:
    """Listen on the control socket, if systemd has made a RuntimeDirectory.

    If the folder cannot be used, the service logs a warning and starts without the socket.  This happens, for example,
    if RUNTIME_DIRECTORY names the folder of another unit.  Workers do not get this variable, so they do not listen.

    :return: the listening port, or None.
    """
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if not folder:
        return None
    path = Path(folder) / NAME
    try:
        # A socket that a killed process left behind would make the bind fail.
        path.unlink(missing_ok=True)
        return reactor.listenUNIX(str(path), ControlFactory(reload, take_over), mode=0o600)
    except (OSError, CannotListenError) as error:
        _log.warn(
            "can't listen on {path} ({error}), so that novnc-reload cannot reach this service; use SIGHUP instead, or "
            "correct RUNTIME_DIRECTORY, which names the folder, and restart the service",
            path=str(path),
            error=one_line(error),
        )
        return None


async def stop_listening(port: Any) -> None:
    """Close the control socket and remove its file.

    :param port: what :func:`listen_for_reload` has returned; None: there is nothing to do.
    """
    if port is not None:
        # The file may be gone, or its folder may be read-only.  This must not make a take-over or a shutdown fail.
        with suppress(OSError):
            await maybeDeferred(port.stopListening)


class ControlFactory(Factory):
    """Accepts connections to the control socket.  The mode of the socket admits only the service's user and root."""

    noisy = False

    def __init__(self, reload: Reload, take_over: TakeOver) -> None:
        """:param reload: reloads the service.
        :param take_over: replaces the service by a new process.
        """
        self.reload = reload
        self.take_over = take_over

    def buildProtocol(self, addr: Any) -> Any:
        """See Factory."""
        protocol = Control()
        protocol.factory = self
        return protocol


class Control(LineOnlyReceiver, TimeoutMixin):
    """Answers requests of one line: ``reload [FILES]`` and ``take-over``.

    The answer is ``ok`` or ``failed: REASON``; to ``take-over``, it may also be ``refused: REASON``.

    FILES is a JSON list with a pair for each configuration file: its path and its text.  Under systemd, the service
    cannot read the current files: it sees only copies that were made at its start (``LoadCredential``).
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
            self.factory.reload(files).addCallback(lambda failed: self._answer(f"failed: {failed}" if failed else "ok"))
        elif line == b"take-over":
            self.factory.take_over().addCallback(self._answer)
        else:
            self._answer("failed: the only requests are: reload [FILES], take-over")

    def _answer(self, answer: str) -> None:
        if self.transport is not None:
            # If the client has left in the meantime, write() does nothing.
            self.transport.write(answer.encode() + b"\n")
            self.transport.loseConnection()
