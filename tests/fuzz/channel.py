"""The text messages of a console page: what they may call, what is sent back, and what ends the session."""

import json
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from novnc_twisted.contract import ConnectInfo, SharedLink
from novnc_twisted.contract.mode import MODES
from novnc_twisted.contract.person import CONTROL_ACTIONS
from novnc_twisted.contract.power import VIEWERS_ACTIONS
from novnc_twisted.errors import ProtocolViolation, Refusal, ServiceUnavailable
from novnc_twisted.session.channel import MAX_MESSAGES, MAX_SECONDS, Channel
from novnc_twisted.session.settings import SessionSettings

from .tools import Target, clean_text_of, fits_a_log, holds, text_of

REPLIES = ("rights", "server", "refused", "done", "link")
"""The types of messages that answer a page; the others are about people (docs/sharing.rst)."""


class _System:
    """Everything around a channel: its session, its end of the connection, and consoleauth.

    :param waits: whether consoleauth answers only at the end.
    :param refuses: whether it is not available.
    """

    def __init__(self, waits: bool, refuses: bool) -> None:
        self.on_text: Any = None
        self.sent: list[str] = []
        self.cause: Refusal | None = None
        self.waiting: list[Deferred[None]] = []
        self.wrong: list[str] = []  # no exceptions, because the channel would handle them
        self._waits, self._refuses = waits, refuses
        self.services = SimpleNamespace(reactor=Clock(), settings=SessionSettings(), find_again=self.find_again)
        self.info = ConnectInfo(host="h", port=5900, instance_uuid="u", state="paused")
        self.id, self.right, self.resizes, self.borrows = "s", "control", True, False
        self.viewer, self.power = SimpleNamespace(token="t", address="192.0.2.1"), self

    def check(self, condition: object, what: str) -> None:
        if not condition:
            self.wrong.append(what)

    def write_text(self, kind: str, text: str) -> None:
        message = json.loads(text)
        holds(message["type"] == kind in REPLIES and len(text.encode()) < 500, "an unknown message is sent", text)
        self.sent.append(text)

    def end(self, cause: Refusal) -> None:
        holds(isinstance(cause, ProtocolViolation) and self.cause is None, "ends for another cause, or twice", cause)
        fits_a_log(str(cause), 200, "the cause")
        self.cause, self.on_text = cause, None

    def fault(self) -> None:
        self.check(False, "a bug")

    def seconds_left(self) -> None:
        return None

    async def _answer(self) -> None:
        self.check(not any(not one.called for one in self.waiting), "two calls at a time")
        if self._waits:
            self.waiting.append(Deferred())
            await self.waiting[-1]
        if self._refuses:
            raise ServiceUnavailable

    async def attend(self, token: str) -> None:
        self.check(token == "t", "another token")

    async def change_control(self, server_id: str, session_id: str, token: str, action: str, other: str) -> None:
        self.check((server_id, session_id, token) == ("u", "s", "t") and action in CONTROL_ACTIONS, "a bad change")
        self.check(len(other) <= 255 and other.isprintable(), "the name of the other session")
        await self._answer()

    async def share(self, token: str, client_address: str, mode: str, seconds: float) -> SharedLink:
        self.check(token == "t" and mode in MODES and 1 <= seconds <= MAX_SECONDS, "an impossible link")
        await self._answer()
        return SharedLink("new", seconds)

    async def find_again(self, token: str, address: str, info: ConnectInfo) -> ConnectInfo:
        await self._answer()
        return info

    async def begin(self, action: str) -> str:
        self.check(action in VIEWERS_ACTIONS, "an unknown action")
        await self._answer()
        return ""


def run(data: bytes) -> None:
    """The lines are messages; the first byte selects whether consoleauth answers at once, late, or with an error."""
    first = sum(data[:1])
    for read in (clean_text_of, text_of):
        system = _System(bool(first & 1), bool(first & 2))
        channel = Channel(cast(Any, system), cast(Any, system), cast(Any, system))
        channel.start()
        texts = [read(line) for line in data[1:].split(b"\n")]
        for text in texts:
            if system.on_text is not None:
                system.on_text(text)
        holds(system.cause is not None or len(texts) <= MAX_MESSAGES, "no limit of messages")
        while any(not one.called for one in system.waiting):
            next(one for one in system.waiting if not one.called).callback(None)
        holds(system.cause is not None or len(system.sent) == len(texts) + 2, "a message has no answer", system.sent)
        holds(not system.wrong, "failed checks", system.wrong)
        channel.stop()


TARGETS = (
    Target(
        "channel",
        run,
        1024,
        (
            *(b'{"type":"%s"}' % action.encode() for action in (*CONTROL_ACTIONS, "state")),
            *(b'{"type":"power","action":"%s"}' % action.encode() for action in VIEWERS_ACTIONS),
            b'{"type":"share","mode":"view","seconds":60}',
            b"\n",
            b'"id":"s2"',
            b'"mode":"control"',
            b'"seconds":1e999',
            b'"seconds":NaN',
            b'"type":["share"]',
            b"\xed\xa0\x80",
            b"\\ud800",
        ),
    ),
)
