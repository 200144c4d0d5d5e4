"""An end of a session while it is being set up: talks are held over it."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from novnc_twisted.errors import MessageTooBig, Refusal
from novnc_twisted.relay.interfaces import IEnd, IReceiver
from novnc_twisted.rfb.talk import Conversation, StartTLS, Talk

T = TypeVar("T")

HOLD_LIMIT = 65536
"""Bytes that a peer may send ahead of its turn."""


@implementer(IReceiver)
class Line:
    """Holds what comes until a talk asks for it.

    The transport is never paused meanwhile: a paused one does not notice that its peer leaves.  So what is held is
    capped instead.
    """

    def __init__(self, end: IEnd, lost: Callable[[Refusal], None]) -> None:
        """Listen to an end.

        :param lost: called with the cause when the end is lost, or sends too much ahead of its turn.
        """
        self.end = end
        self.gone = False
        self._lost = lost
        self._held = bytearray()
        self._more: Deferred[bytes] | None = None
        self._conversation: Conversation[Any] | None = None  # that hears what comes, until it waits no more
        end.attach(self)

    @property
    def awaits(self) -> str:
        """The message of the peer that the handshake waits for, while nothing of it has come; else an empty text."""
        conversation = self._conversation
        return "" if conversation is None or conversation.rest else conversation.waiting_for

    async def hold(
        self,
        talk: Talk[T],
        answer: Callable[[str], Awaitable[Any]] | None = None,
        start_tls: Callable[[StartTLS], Awaitable[None]] | None = None,
    ) -> T:
        """Hold a talk to its end.

        :param answer: gives what the talk asks for.
        :param start_tls: starts TLS on the end where the talk stops for it, and returns when it is up.
        :raises Refusal: the talk's.
        """
        conversation = Conversation(talk)
        conversation.start()
        while True:
            await self._converse(conversation)
            if conversation.done:
                break
            if conversation.asks is not None and answer is not None:
                conversation.answer(await answer(conversation.asks.what))
            elif conversation.starts_tls is not None and start_tls is not None:
                injected, self._held = bytes(self._held), bytearray()
                if injected:
                    conversation.receive(injected)  # it came in clear: the talk fails
                else:
                    await start_tls(conversation.starts_tls)
                    conversation.tls_started()
        self.put_back(conversation.rest)
        if conversation.error is not None:
            raise conversation.error
        return conversation.result  # type: ignore[return-value]  # a T, as there was no error

    def _converse(self, conversation: Conversation[Any]) -> Deferred[bytes]:
        """Let the peer and the talk go on until the talk ends, or waits for something else than bytes.

        The coroutine is woken once it is so, and not for each message: there are eight of them in a set-up.
        """
        self._say(conversation)
        over: Deferred[bytes] = Deferred(self._forget)
        if conversation.waits:
            self._more, self._conversation = over, conversation
            if self._held:
                data, self._held = bytes(self._held), bytearray()
                self._hear(conversation, data)
        else:
            over.callback(b"")
        return over

    def _hear(self, conversation: Conversation[Any], data: bytes) -> None:
        conversation.receive(data)
        self._say(conversation)
        if not conversation.waits:
            self._conversation = None
            self._give(b"")

    def _say(self, conversation: Conversation[Any]) -> None:
        data = conversation.to_send()
        if data:
            self.end.write(data)

    def some(self) -> Deferred[bytes]:
        """Bytes, at least one: those held, else the next that come."""
        more: Deferred[bytes] = Deferred(self._forget)
        if self._held:
            data, self._held = bytes(self._held), bytearray()
            more.callback(data)
        else:
            self._more = more
        return more

    def put_back(self, data: bytes) -> None:
        """What was taken and not needed: it comes first, next time."""
        self._held[:0] = data

    def release(self) -> None:
        """Give the end back, with what is held for whoever comes next."""
        data, self._held = bytes(self._held), bytearray()
        self.end.give_back(data)

    # IReceiver

    def data_received(self, data: bytes) -> None:
        """For the talk that waits, else held."""
        if self._conversation is not None:
            self._hear(self._conversation, data)
        elif self._more is not None:
            self._give(data)
        elif len(self._held) + len(data) > HOLD_LIMIT:
            self.end_lost(MessageTooBig(f"more than {HOLD_LIMIT} bytes ahead of its turn"))
        else:
            self._held += data

    def end_lost(self, cause: Refusal) -> None:
        """Tell the session, once."""
        if not self.gone:
            self.gone = True
            self._lost(cause)

    def pause_writing(self) -> None:
        """Nothing feeds the end but talks, and what they write is small."""

    def resume_writing(self) -> None:
        """See pause_writing."""

    def _give(self, data: bytes) -> None:
        more, self._more = self._more, None
        if more is not None:
            more.callback(data)

    def _forget(self, _: Deferred[bytes]) -> None:
        self._more = self._conversation = None
