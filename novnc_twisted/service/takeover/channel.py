"""The old process's side of the channel between the two processes of a take-over (SIGUSR2).

:mod:`.successor` has the new process's side.
"""

import json
from collections.abc import Callable
from typing import Any

from twisted.protocols.basic import LineOnlyReceiver

from novnc_twisted.service.takeover.successor import LEAD


class Channel(LineOnlyReceiver):
    """The channel to the new process.

    :param made: called with this object when the channel is open.
    :param reported: called with each line that the new process sends.
    """

    delimiter = b"\n"

    def __init__(self, made: "Callable[[Channel], None]", reported: Callable[[str], None]) -> None:
        self._made = made
        self._reported = reported

    def connectionMade(self) -> None:
        """See Protocol."""
        self._made(self)

    def lineReceived(self, line: bytes) -> None:
        """See LineOnlyReceiver."""
        self._reported(line.decode("utf-8", "replace"))

    def lead(self, *, stays: bool) -> None:
        """Make the new process the main process.

        :param stays: whether the channel stays open, for :meth:`answer`.
        """
        if self.transport is not None:
            self.transport.write(LEAD + b"\n")
            if not stays:
                self.close()

    def answer(self, question: str, status: dict[str, Any] | None = None) -> None:
        """Answer a question about the metrics of this process.

        :param question: the identifier of the question, which the answer repeats.
        :param status: the state and the metrics; None: they are unknown.
        """
        if self.transport is not None:
            self.transport.write(f"{question} {json.dumps(status)}\n".encode())

    def close(self) -> None:
        """Close the channel."""
        if self.transport is not None:
            self.transport.loseConnection()
