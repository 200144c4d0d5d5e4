"""Runs handshakes over one end of a session (:class:`.IEnd`: one of its two connections), during the set-up."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from novnc_twisted.errors import MessageTooBig, Refusal
from novnc_twisted.relay.interfaces import IEnd, IReceiver
from novnc_twisted.rfb.handshake import Handshake, HandshakeDriver, StartTLS

T = TypeVar("T")

HOLD_LIMIT = 65536
"""Maximum number of bytes that are held until a handshake or :meth:`HandshakeChannel.some` asks for them."""

Answer = Callable[[str], Awaitable[Any]]
"""Returns what a handshake asks for (:class:`~novnc_twisted.rfb.Ask`)."""

Secure = Callable[[StartTLS], Awaitable[None]]
"""Starts TLS on the end, and returns when TLS is established."""


@implementer(IReceiver)
class HandshakeChannel:
    """Runs handshakes over one end, one after the other, and holds bytes that no handshake has asked for yet.

    A paused transport would not notice that its peer leaves.  So the transport is never paused, and the number of held
    bytes is limited instead.
    """

    def __init__(self, end: IEnd, lost: Callable[[Refusal], None], heard: Callable[[], None] | None = None) -> None:
        """Become the receiver of an end.

        :param lost: called once, with the cause, if the end is lost or its peer sends too much too early.
        :param heard: called when the first bytes come.
        """
        self.end = end
        self.gone = False
        self._lost = lost
        self._heard = heard
        self._held = bytearray()
        self._driver: HandshakeDriver[Any] | None = None  # of the handshake that runs
        self._done: Deferred[Any] | None = None  # fires at the end of the handshake
        self._serving: Deferred[None] | None = None  # not None while the handshake waits for an answer or for TLS
        self._answer: Answer | None = None
        self._start_tls: Secure | None = None
        self._more: Deferred[bytes] | None = None  # what some() has returned; None after it has fired
        # Last: attach() may at once call data_received() with held bytes, or end_lost().  Both need all attributes.
        end.attach(self)

    @property
    def awaits(self) -> str:
        """The name (``Need.what``) of the bytes that the handshake waits for.

        Empty if the handshake waits for no bytes, or if some of them have arrived.
        """
        driver = self._driver
        return "" if driver is None or driver.rest else driver.waiting_for

    def run(
        self, handshake: Handshake[T], answer: Answer | None = None, start_tls: Secure | None = None
    ) -> Deferred[T]:
        """Run a handshake.

        No coroutine drives the handshake.  A set-up receives several messages, and resuming a coroutine for each of
        them would take more CPU time than plain calls.

        :param answer: needed for a handshake that asks for a password.
        :param start_tls: needed for a handshake that starts TLS.
        :return: fires with the result; fails with the handshake's Refusal, or an exception of ``answer`` or
            ``start_tls``.
        """
        done: Deferred[T] = Deferred(self._cancelled)
        self._done, self._answer, self._start_tls = done, answer, start_tls
        self._driver = driver = HandshakeDriver(handshake)
        driver.start()
        self._go_on(driver)
        return done

    def _go_on(self, driver: HandshakeDriver[Any]) -> None:
        """Let the handshake run until it waits for bytes that have not come, waits for something else, or ends."""
        while True:
            data = driver.to_send()
            if data:
                self.end.write(data)
            if not driver.waits:
                break
            if not self._held:
                return
            # The driver gets all held bytes.  When the handshake ends, _finish() puts unread bytes back.
            data, self._held = bytes(self._held), bytearray()
            driver.receive(data)
        if driver.done:
            self._finish(driver)
        else:
            self._serving = Deferred.fromCoroutine(self._serve(driver))
            self._serving.addCallbacks(self._served, self._failed)

    async def _serve(self, driver: HandshakeDriver[Any]) -> None:
        """Answer the handshake, or start TLS for it."""
        if driver.asks is not None and self._answer is not None:
            driver.answer(await self._answer(driver.asks.what))
        elif driver.starts_tls is not None and self._start_tls is not None:
            injected, self._held = bytes(self._held), bytearray()
            if injected:
                # These bytes came before TLS, so an attacker may have inserted them.  While a handshake waits for TLS,
                # receive() makes it fail.
                driver.receive(injected)
            else:
                await self._start_tls(driver.starts_tls)
                driver.tls_started()
        else:
            raise RuntimeError("the handshake needs a password or TLS, for which run() was given no callback")

    def _served(self, _: None) -> None:
        self._serving = None
        if self._driver is not None:
            self._go_on(self._driver)

    def _finish(self, driver: HandshakeDriver[Any]) -> None:
        # The callbacks below may run the next handshake on this channel, so the channel must be free.
        done = self._free()
        self.put_back(driver.rest)
        if done is not None and driver.error is not None:
            done.errback(driver.error)
        elif done is not None:
            done.callback(driver.result)

    def _failed(self, failure: Failure) -> None:
        done = self._free()
        if done is not None:
            done.errback(failure)

    def _cancelled(self, _: Deferred[Any]) -> None:
        serving, self._serving = self._serving, None
        # Free the channel before the cancellation, so that a cancelled answer cannot continue the handshake.
        self._free()
        if serving is not None:
            serving.cancel()

    def _free(self) -> Deferred[Any] | None:
        """Forget the handshake; return the Deferred that :meth:`run` returned for it."""
        done, self._done, self._driver = self._done, None, None
        # The callbacks are methods of an object that refers to this channel: break this reference cycle.
        self._answer = self._start_tls = None
        return done

    def some(self) -> Deferred[bytes]:
        """Return a Deferred that fires with the held bytes, or else with the next bytes that arrive."""
        more: Deferred[bytes] = Deferred(self._more_cancelled)
        if self._held:
            data, self._held = bytes(self._held), bytearray()
            more.callback(data)
        else:
            self._more = more
        return more

    def _more_cancelled(self, _: Deferred[bytes]) -> None:
        self._more = None

    def put_back(self, data: bytes) -> None:
        """Hold unused bytes again, in front of those that are held already."""
        self._held[:0] = data

    def release(self) -> None:
        """End this channel, and give unread bytes back to the :class:`IEnd`, for its next receiver."""
        data, self._held = bytes(self._held), bytearray()
        # The callback is a method of an object that refers to this channel: break this reference cycle.
        self._lost = _ignore
        self.end.give_back(data)

    # IReceiver

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the handshake or to :meth:`some`, or hold them."""
        if self._heard is not None:
            heard, self._heard = self._heard, None
            heard()
        driver = self._driver
        if driver is not None and driver.waits:
            driver.receive(data)
            self._go_on(driver)
        elif self._more is not None:
            more, self._more = self._more, None
            more.callback(data)
        elif len(self._held) + len(data) > HOLD_LIMIT:
            self.end_lost(MessageTooBig(f"more than {HOLD_LIMIT} bytes too early"))
        else:
            self._held += data

    def end_lost(self, cause: Refusal) -> None:
        """Call ``lost`` with the cause; later calls do nothing."""
        if not self.gone:
            # Set first: the callback ends the session, which reads this attribute.
            self.gone = True
            self._lost(cause)

    def pause_writing(self) -> None:
        """Do nothing: during the set-up, little is written to this end."""

    def resume_writing(self) -> None:
        """See pause_writing."""


def _ignore(cause: Refusal) -> None:
    """Do nothing: the callback of a released channel."""
