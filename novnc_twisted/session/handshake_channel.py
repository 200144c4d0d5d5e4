"""One end of a session during its set-up: runs handshakes over it."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from novnc_twisted.errors import MessageTooBig, Refusal
from novnc_twisted.relay.interfaces import IEnd, IReceiver
from novnc_twisted.rfb.handshake import Handshake, HandshakeDriver, StartTLS

T = TypeVar("T")

HOLD_LIMIT = 65536
"""Bytes that a peer may send before they are asked for."""


@implementer(IReceiver)
class HandshakeChannel:
    """Runs handshakes over one end, and holds bytes that no handshake has asked for yet.

    The transport is never paused, because a paused transport does not notice that its peer leaves.  The amount held is
    limited instead.
    """

    def __init__(self, end: IEnd, lost: Callable[[Refusal], None]) -> None:
        """Become the receiver of an end.

        :param lost: called with the cause when the end is lost, or when it sends too much too early.
        """
        self.end = end
        self.gone = False
        self._lost = lost
        self._held = bytearray()
        self._more: Deferred[bytes] | None = None
        self._driver: HandshakeDriver[Any] | None = None  # while it waits for bytes
        end.attach(self)

    @property
    def awaits(self) -> str:
        """The message that the handshake waits for, if no byte of it has arrived; else an empty string."""
        driver = self._driver
        return "" if driver is None or driver.rest else driver.waiting_for

    async def run(
        self,
        handshake: Handshake[T],
        answer: Callable[[str], Awaitable[Any]] | None = None,
        start_tls: Callable[[StartTLS], Awaitable[None]] | None = None,
    ) -> T:
        """Run a handshake to its end.

        :param answer: returns what the handshake asks for (:class:`~novnc_twisted.rfb.Ask`).
        :param start_tls: starts TLS on the end, and returns when it is established.
        :raises Refusal: raised by the handshake.
        """
        driver = HandshakeDriver(handshake)
        driver.start()
        while True:
            await self._drive(driver)
            if driver.done:
                break
            if driver.asks is not None and answer is not None:
                driver.answer(await answer(driver.asks.what))
            elif driver.starts_tls is not None and start_tls is not None:
                injected, self._held = bytes(self._held), bytearray()
                if injected:
                    driver.receive(injected)  # it came in clear: the handshake fails
                else:
                    await start_tls(driver.starts_tls)
                    driver.tls_started()
        self.put_back(driver.rest)
        if driver.error is not None:
            raise driver.error
        return driver.result  # type: ignore[return-value]  # a T, as there was no error

    def _drive(self, driver: HandshakeDriver[Any]) -> Deferred[bytes]:
        """Let the peer and the handshake go on until the handshake ends, or waits for something else than bytes.

        The coroutine is woken once it is so, and not for each message: there are eight of them in a set-up.
        """
        self._say(driver)
        over: Deferred[bytes] = Deferred(self._forget)
        if driver.waits:
            self._more, self._driver = over, driver
            if self._held:
                data, self._held = bytes(self._held), bytearray()
                self._hear(driver, data)
        else:
            over.callback(b"")
        return over

    def _hear(self, driver: HandshakeDriver[Any], data: bytes) -> None:
        driver.receive(data)
        self._say(driver)
        if not driver.waits:
            self._driver = None
            self._give(b"")

    def _say(self, driver: HandshakeDriver[Any]) -> None:
        data = driver.to_send()
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
        """Give the end back, with what is held for its next receiver; this channel is over."""
        data, self._held = bytes(self._held), bytearray()
        self._lost = _ignore  # a method of the session, which has this channel: a cycle otherwise
        self.end.give_back(data)

    # IReceiver

    def data_received(self, data: bytes) -> None:
        """For the handshake that waits, else held."""
        if self._driver is not None:
            self._hear(self._driver, data)
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
        """Does nothing: handshakes alone write to this end, and they write little."""

    def resume_writing(self) -> None:
        """See pause_writing."""

    def _give(self, data: bytes) -> None:
        more, self._more = self._more, None
        if more is not None:
            more.callback(data)

    def _forget(self, _: Deferred[bytes]) -> None:
        self._more = self._driver = None


def _ignore(cause: Refusal) -> None:
    """Stand in for the callback of a channel that is over."""
