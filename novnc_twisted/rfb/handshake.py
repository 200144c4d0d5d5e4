"""Handshakes as generators: they yield what they need, and use no socket, clock or reactor.

A handshake reads like the RFC::

    def greet() -> Handshake[bytes]:
        yield Write(b"RFB 003.008\\n")
        version = yield Need(12, "ProtocolVersion")
        return version

:class:`HandshakeDriver` runs a handshake, with any transport or without one.

TLS inside RFB (VeNCrypt) is a step as well: the driver stops at :class:`StartTLS`, and the owner of the transport
starts TLS and calls :meth:`HandshakeDriver.tls_started`.  If clear bytes are still unread when TLS starts, the
handshake fails, so that they are never read as if TLS had protected them.
"""

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeAlias, TypeVar

from novnc_twisted.errors import ProtocolViolation, Refusal, ServiceUnavailable
from novnc_twisted.read_only import read_only

from .constants import LIMIT

T = TypeVar("T")


@read_only()
class Need:
    """Wait for exactly ``count`` bytes from the peer; they are sent into the generator.

    :ivar count: the number of bytes.
    :ivar what: the name of these bytes, such as ``ServerInit``; see :attr:`HandshakeDriver.waiting_for`.
    """

    count: int
    what: str = ""


@read_only()
class Write:
    """Bytes for the peer."""

    data: bytes = b""


@read_only()
class Ask:
    """Ask the code that runs the handshake; the answer is sent into the generator.

    :ivar what: the kind of answer that is needed.  ``password``: the VNC password as text, or None if the VM has no
        password.
    """

    what: str


@read_only()
class StartTLS:
    """Start TLS, as the TLS client.  No value is sent into the generator.

    :ivar verified: whether the server's certificate must be verified; False: anonymous TLS, without a certificate.
    """

    verified: bool = True


Step: TypeAlias = Need | Write | Ask | StartTLS
Handshake: TypeAlias = Generator[Step, Any, T]
"""A generator of steps that returns a ``T`` or raises a :class:`novnc_twisted.errors.Refusal`."""


def preceded(preface: bytes, handshake: Handshake[T]) -> Handshake[T]:
    """Return the handshake with some bytes in front of its first message; the driver sends both together."""
    if preface:
        yield Write(preface)
    return (yield from handshake)


class Flooded(Exception):
    """Thrown into a handshake if the peer sent or announced more bytes than the limit.

    The text of the exception contains the number of these bytes.
    """


class Injected(Flooded):
    """Thrown into a handshake if unread bytes had arrived in clear before TLS started.

    The text of the exception contains the number of these bytes.  A handshake that catches Flooded also catches
    Injected.
    """


class HandshakeDriver(Generic[T]):
    """Drives a handshake by bytes, without I/O.  The bytes may arrive in chunks of any size.

    Call :meth:`start`, then :meth:`receive` for bytes that arrive.  After each call, send the bytes of :meth:`to_send`
    to the peer, and check :attr:`asks`, ``starts_tls`` and :attr:`done`.  No call raises because of the peer's bytes:
    if they make the handshake fail, :attr:`error` has the reason.

    :ivar done: whether the handshake has ended, with success or not.
    :ivar result: the result of the handshake; None before its end and after a failure.
    :ivar error: the refusal that made the handshake fail, or None.
    :ivar asks: an unanswered question, or None.
    :ivar starts_tls: if this is not None, start TLS now, and call :meth:`tls_started` when TLS is established.
    """

    def __init__(self, handshake: Handshake[T], limit: int = LIMIT) -> None:
        """Prepare a handshake that has not begun.

        :param limit: maximum number of bytes in one :class:`Need`, and of unused bytes in :attr:`rest`.
        """
        self._handshake = handshake
        self._limit = limit
        self._started = False
        self._received = bytearray()
        self._written = bytearray()
        self._need: Need | None = None
        self.asks: Ask | None = None
        self.starts_tls: StartTLS | None = None
        self.done = False
        self.result: T | None = None
        self.error: Refusal | None = None

    def start(self) -> None:
        """Run until the handshake waits for something; a second call does nothing."""
        if not self._started and not self.done:
            self._started = True
            self._run(self._handshake.send, None)

    def receive(self, data: bytes) -> None:
        """Receive bytes of the peer.

        Bytes for which the handshake does not wait are held in :attr:`rest`, up to the limit.  Above the limit, the
        handshake fails, even if it had ended with success.  If the handshake waits for TLS, any byte makes it fail.
        After a failure, bytes are dropped.
        """
        if self.error is not None:
            return
        self._received += data
        if self._need is not None and len(self._received) >= self._need.count:
            self._run(self._handshake.send, self._take(self._need.count))
        elif self.starts_tls is not None and data:
            # An attacker on the path can insert clear bytes before TLS, as in STARTTLS injection.
            self._run(self._handshake.throw, self._injected())
        if self._need is None and len(self._received) > self._limit:
            flood = Flooded(f"{len(self._received)} bytes came unasked")
            # A running handshake may translate Flooded into its own refusal.  If no handshake runs, fail here.
            if self._started and not self.done:
                self._run(self._handshake.throw, flood)
            else:
                self._failed(flood)

    def answer(self, value: Any) -> None:
        """Answer the question in :attr:`asks`; does nothing if the handshake ended meanwhile.

        :raises RuntimeError: nothing was asked.
        """
        if self.done:
            return
        if self.asks is None:
            raise RuntimeError("nothing was asked")
        self._run(self._handshake.send, value)

    def tls_started(self) -> None:
        """Continue after TLS was established: bytes from now on are protected.

        Does nothing if the handshake ended meanwhile.

        :raises RuntimeError: the handshake did not ask for TLS.
        """
        if self.done:
            return
        if self.starts_tls is None:
            raise RuntimeError("TLS was not to be started")
        self._run(self._handshake.send, None)

    def to_send(self) -> bytes:
        """Return the bytes for the peer that were written since the last call."""
        data = bytes(self._written)
        self._written.clear()
        return data

    @property
    def rest(self) -> bytes:
        """Received bytes that the handshake has not used; after its end, they belong to what follows."""
        return bytes(self._received)

    @property
    def waits(self) -> bool:
        """Whether the handshake waits for bytes of the peer."""
        return self._need is not None

    @property
    def waiting_for(self) -> str:
        """What the handshake waits for (``what`` of :class:`Need`); empty if the handshake waits for no bytes."""
        return self._need.what if self._need is not None else ""

    def _take(self, count: int) -> bytes:
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    def _run(self, resume: Callable[[Any], Step], value: Any) -> None:
        """Resume the handshake with a value or an error, and run it until it waits or ends."""
        self._need = self.asks = self.starts_tls = None
        try:
            self._follow(resume(value))
        except StopIteration as end:
            self.done, self.result = True, end.value
        except (Refusal, Flooded) as failure:
            self._failed(failure)
        except BaseException:
            self._failed(ServiceUnavailable("a bug in our RFB handshake"))  # a bug must not count as a success
            raise

    def _follow(self, step: Step) -> None:
        # Not a match statement: it takes four times as long, 2 % of the set-up of a session.
        while True:
            if isinstance(step, Need):
                count = step.count
                if count > self._limit:
                    # Fail at the announced length, before the peer fills the memory.
                    step = self._handshake.throw(Flooded(f"{count} bytes announced"))
                elif len(self._received) >= count:
                    step = self._handshake.send(self._take(count))
                else:
                    self._need = step
                    return
            elif isinstance(step, Write):
                self._written += step.data
                step = self._handshake.send(None)
            elif isinstance(step, Ask):
                self.asks = step
                return
            elif self._received:
                # TLS does not protect these bytes: an attacker on the path may have sent them.
                step = self._handshake.throw(self._injected())
            else:
                self.starts_tls = step
                return

    def _injected(self) -> Injected:
        return Injected(f"{len(self._received)} bytes came in clear where TLS begins")

    def _failed(self, failure: Refusal | Flooded) -> None:
        self.done, self.result = True, None
        self.error = failure if isinstance(failure, Refusal) else ProtocolViolation(str(failure))
        self._received.clear()
        self._handshake.close()
