"""Adds the metrics of older processes to those of the main process.

Older processes were replaced in take-overs (SIGUSR2), but still have sessions.  The main process accepts connections.
It asks the older processes for their metrics on the channels that were used for their take-overs.  A further take-over
passes these channels to the next main process, so that only the main process reads them.
"""

import json
import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, gatherResults
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from novnc_twisted.messaging.shared_call import SharedCall

if TYPE_CHECKING:
    from novnc_twisted.monitoring import Status
    from novnc_twisted.monitoring.status import Samples

DEADLINE: Final = 2.5
"""Seconds to wait for an answer.  An older process itself waits up to 2 s for the answers of its workers."""

STATUS: Final = "status"
"""The first word of a question.  An identifier follows, which the answer repeats."""

_OURS: Final = 0
"""The number of this process in :class:`.Totals`.  An older process has its process id as the number."""

_OF_MAIN: Final = ("novnc_workers", "novnc_missing")
"""Gauges that must describe only the main process and its workers.

They are dropped from the answers of older processes, which accept no connections.
"""


class OlderStatus:
    """The status of the main process, with the metrics of older processes.

    :ivar own: returns the status of this process or, if it is a supervisor, that of all its workers together.
    :param channels: the channel to each older process except the previous main process, by process id.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, own: "Callable[[], Deferred[Status]]", channels: Mapping[int, socket.socket]
    ) -> None:
        from novnc_twisted.monitoring import Totals

        self._reactor = reactor
        self.own = own
        self._totals = Totals()
        self._shared = SharedCall(lambda: Deferred.fromCoroutine(self._ask_all()), joins=True)
        self._channels: dict[int, _Channel] = {}
        # The previous main process reads these channels until this process becomes the main process.
        self._passed = dict(channels)

    def lead(self, pid: int, channel: socket.socket | None) -> None:
        """Begin to read the channels, because this process is the main process now.

        :param pid: the process id of the previous main process.
        :param channel: the channel to the previous main process; None: that process has closed the channel.
        """
        passed, self._passed = self._passed, {}
        if channel is not None:
            passed[pid] = channel
        for older, its_socket in passed.items():
            self._channels[older] = _Channel(self._reactor, its_socket, partial(self._ended, older))

    def release(self) -> None:
        """Close the channels, because a new process is the main process from now on."""
        for channel in list(self._channels.values()):
            channel.connectionLost(None)

    @property
    def channels(self) -> dict[int, int]:
        """The descriptors of the channels, for the new process of a take-over."""
        return {pid: channel.fileno() for pid, channel in self._channels.items()}

    def status(self) -> "Deferred[Status]":
        """Return the readiness of this process, and the metrics of all processes, within :data:`DEADLINE` seconds."""
        return self._shared()

    async def _ask_all(self) -> "Status":
        from novnc_twisted.monitoring import Status

        channels = dict(self._channels)
        asked = [Deferred.fromCoroutine(self._ask(channel)) for channel in channels.values()]
        # The older processes answer while this process reads its own status.
        older = Deferred.fromCoroutine(_all(asked))
        own = await self.own()
        answers = dict(zip(channels, await older, strict=True))
        # An older process may have ended meanwhile.  Its answer is dropped: the totals already contain the counters of
        # its previous answer, and would otherwise count them twice.  Its gauges are not valid any more.
        living = {pid: samples for pid, samples in answers.items() if pid in self._channels}
        return Status(state=own.state, missing=own.missing, samples=self._totals.add({_OURS: own.samples, **living}))

    async def _ask(self, channel: "_Channel") -> "Samples | None":
        from novnc_twisted.monitoring import Status

        try:
            answer = await channel.ask().addTimeout(DEADLINE, self._reactor)
            samples = Status.from_json(answer).samples if answer is not None else None
        except (TimeoutError, CancelledError):
            return None
        except ValueError as error:
            self.log.error("{error}", error=error)
            return None
        if samples is None:
            return None
        return {key: value for key, value in samples.items() if key[0] not in _OF_MAIN}

    def _ended(self, pid: int) -> None:
        self._channels.pop(pid, None)
        self._totals.ended(pid)


async def _all(asked: "list[Deferred[Samples | None]]") -> "list[Samples | None]":
    return list(await gatherResults(asked))


@implementer(IReadDescriptor)
class _Channel:
    """The channel to one older process, for one question at a time."""

    _numbers = count()

    def __init__(self, reactor: Any, channel: socket.socket, on_end: Callable[[], None]) -> None:
        self._reactor = reactor
        self._socket = channel
        self._on_end = on_end
        self._received = b""
        self._question = ""
        self._answer: Deferred[Any] | None = None
        channel.setblocking(False)
        reactor.addReader(self)

    def ask(self) -> "Deferred[Any]":
        """Ask for the status; fires with the parsed JSON of the answer, or with None if the process ends.

        While an earlier question has no answer yet, no further question is sent.  The Deferred then fires with the
        answer to the earlier question.
        """
        answer = self._answer = Deferred()
        if self._question:
            return answer
        # The identifier contains the id of this process.  Therefore, a late answer to the previous main process is not
        # taken for an answer to this question.
        self._question = f"{os.getpid()}.{next(self._numbers)}"
        try:
            self._socket.sendall(f"{STATUS} {self._question}\n".encode())
        except OSError:  # the process is ending
            self._reply(None)
        return answer

    def fileno(self) -> int:
        """See IFileDescriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """See ILoggingContext."""
        return "predecessor"

    def doRead(self) -> None:
        """See IReadDescriptor."""
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            question, _, text = line.decode("utf-8", "replace").partition(" ")
            if question == self._question:
                self._question = ""
                self._reply(text)
        if not data:
            self.connectionLost(None)

    def connectionLost(self, reason: Any) -> None:
        """See IReadDescriptor: the older process has ended, the channel is no longer needed, or the reactor stops."""
        if self._socket.fileno() >= 0:
            self._reactor.removeReader(self)
            self._socket.close()
            self._on_end()
            self._reply(None)

    def _reply(self, text: str | None) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.called:
            answer.callback(None if text is None else _read(text))


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}  # Status.from_json() refuses this as malformed
