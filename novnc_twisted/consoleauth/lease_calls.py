"""Renews the leases of a proxy's tokens, several with one call to consoleauth.

A lease lets the viewer of a session reconnect within 60 s, from the same address, usually even if the token has
expired.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from novnc_twisted.errors import TABLE, ServiceUnavailable

MAX_TOKENS: Final = 100
"""Maximum number of tokens in one call of ``keep_tokens``."""

AT_ONCE: Final = 2
"""Maximum number of calls at a time.  If one consoleauth hangs, another one still gets calls."""

Lease: TypeAlias = tuple[str, str]
"""The SHA-256 of a token, and the client address."""


class LeaseCalls:
    """Renews leases: at once if fewer than :data:`AT_ONCE` calls are under way, else together with other renewals.

    So a single renewal does not wait, and many renewals need few calls.

    :param call: calls consoleauth about some leases, and returns an answer for each of them.
    """

    def __init__(self, call: Callable[[Sequence[Lease]], Awaitable[Any]]) -> None:
        self._call = call
        self._waiting: list[tuple[Lease, Deferred[dict[str, Any]]]] = []
        self._calls = 0

    def keep(self, token_hash: str, client_address: str) -> "Deferred[dict[str, Any]]":
        """Renew a lease.

        :return: fires with the answer of ``keep_token``, or fails with its Refusal or with ServiceUnavailable.  The
            Deferred may be cancelled.
        """
        answer: Deferred[dict[str, Any]] = Deferred()
        self._waiting.append(((token_hash, client_address), answer))
        if self._calls < AT_ONCE:
            self._begin()
        return answer

    def _begin(self) -> None:
        # Drop the renewals that were cancelled while they waited.
        self._waiting = [one for one in self._waiting if not one[1].called]
        some, self._waiting = self._waiting[:MAX_TOKENS], self._waiting[MAX_TOKENS:]
        if some:
            self._calls += 1
            Deferred.fromCoroutine(self._run(some))

    async def _run(self, some: Sequence[tuple[Lease, "Deferred[dict[str, Any]]"]]) -> None:
        try:
            answers = await self._call([lease for lease, _ in some])
            if not isinstance(answers, list) or len(answers) != len(some):
                raise ServiceUnavailable("consoleauth did not answer for each token")
        except Exception as error:
            answers = [error] * len(some)
        self._calls -= 1
        if self._waiting:
            self._begin()
        for (_, waiting), answer in zip(some, answers, strict=True):
            if not waiting.called:
                _fire(waiting, answer)


def _fire(waiting: "Deferred[dict[str, Any]]", answer: Any) -> None:
    if isinstance(answer, Exception):
        waiting.errback(Failure(answer))
    elif not isinstance(answer, dict):
        waiting.errback(ServiceUnavailable("consoleauth: the answer about a token is not an object"))
    elif "error" in answer:
        waiting.errback(TABLE.get(str(answer["error"]), ServiceUnavailable)(str(answer.get("detail", ""))))
    else:
        waiting.callback(answer)
