"""An HTTP client with limits on the size and the time of answers."""

from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, ensureDeferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool, ResponseDone, _HTTP11ClientFactory
from twisted.web.http_headers import Headers

from novnc_twisted.errors import ServiceUnavailable

DEADLINE: Final = 4.0
"""Seconds for a whole request, including connection and TLS handshake.

This is less than the 5 s that the check of a token may take by default (``SessionSettings.token_deadline``).
"""

MAX_ANSWER: Final = 16 << 10
"""Maximum number of bytes of an answer."""

MAX_PENDING: Final = 64
"""Maximum number of requests at the same time; a further request fails at once."""


class _Quiet(_HTTP11ClientFactory):
    noisy = False  # otherwise each connection is logged


class _Pool(HTTPConnectionPool):
    _factory = _Quiet
    maxPersistentPerHost = 8


class BoundedClient:
    """Sends GET requests over persistent connections.  Redirects are not followed.

    :param reactor: IReactorTCP, IReactorTime.
    :param name: the server's name in errors.
    :param tls_policy: an ``IPolicyForHTTPS``; None: the system's certificate authorities.
    """

    def __init__(self, reactor: Any, name: str, *, tls_policy: Any = None) -> None:
        self._reactor = reactor
        self._name = name
        self._pool = _Pool(reactor)
        policy = BrowserLikePolicyForHTTPS() if tls_policy is None else tls_policy
        self._agent = Agent(reactor, policy, connectTimeout=DEADLINE, pool=self._pool)
        self._pending = 0

    def stop(self) -> Any:
        """Close the idle connections.  Return a Deferred that fires when they are closed."""
        return self._pool.closeCachedConnections()

    async def get(self, address: str, headers: Mapping[str, list[str]]) -> tuple[int, bytes]:
        """Send a GET request, and return the status and the body of the answer.

        :param address: the URL; it may contain a token.
        :raises ServiceUnavailable: the request failed, or the answer did not arrive in full within the limits.  The
            detail does not contain the URL.
        """
        if self._pending >= MAX_PENDING:
            raise ServiceUnavailable(f"{self._name} is too slow: {MAX_PENDING} requests are unanswered")
        self._pending += 1
        try:
            return await ensureDeferred(self._ask(address, headers)).addTimeout(DEADLINE, self._reactor, _time_out)
        except TimeoutError:
            raise ServiceUnavailable(f"{self._name} does not answer within {DEADLINE:g} s") from None
        finally:
            self._pending -= 1

    async def _ask(self, address: str, headers: Mapping[str, list[str]]) -> tuple[int, bytes]:
        try:
            response = await self._agent.request(b"GET", address.encode("ascii"), Headers(dict(headers)))
            done: Deferred[bytes] = Deferred()
            response.deliverBody(_Body(done))
            return response.code, await done
        except CancelledError:
            raise
        except _TooLong:
            raise ServiceUnavailable(f"{self._name} sends more than {MAX_ANSWER} bytes") from None
        except Exception as error:
            if _was_cancelled(error):
                raise CancelledError from None
            # Report only the type: the text of Agent's errors may contain the URL, and the URL may contain a token.
            raise ServiceUnavailable(f"the request to {self._name} failed: {type(error).__name__}") from None


def _time_out(result: Any, seconds: float) -> Any:
    # Called after the time-out has cancelled the request.  The default of addTimeout() replaces only a CancelledError,
    # but a cancelled look-up of a name fails with another error.
    raise TimeoutError(seconds)


class _TooLong(Exception):
    """An answer is longer than MAX_ANSWER."""


def _was_cancelled(error: Exception) -> bool:
    """Return whether an error of Agent means that the request was cancelled."""
    reasons = getattr(error, "reasons", ())
    return isinstance(error, ConnectingCancelledError) or any(reason.check(CancelledError) for reason in reasons)


class _Body(Protocol):
    """Collects an answer of at most MAX_ANSWER bytes."""

    def __init__(self, done: Deferred[bytes]) -> None:
        self._done: Deferred[bytes] | None = done
        self._parts: list[bytes] = []
        self._size = 0
        # The Deferred was made before this object, so the canceller of the Deferred can be set only now.
        done._canceller = self._cancelled

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        self._size += len(data)
        if self._size > MAX_ANSWER:
            self._abort()
            self._finish(Failure(_TooLong()))
        else:
            self._parts.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol."""
        self._finish(b"".join(self._parts) if reason.check(ResponseDone) else reason)

    def _cancelled(self, _: Deferred[bytes]) -> None:
        self._done = None
        self._abort()

    def _abort(self) -> None:
        self._parts.clear()
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def _finish(self, result: bytes | Failure) -> None:
        done, self._done = self._done, None
        if done is not None:
            done.callback(result)
