"""Renewals of leases: one call renews several, and each has its own answer."""

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.consoleauth.lease_calls import AT_ONCE, MAX_TOKENS, Lease, LeaseCalls
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import Revoked, ServiceUnavailable
from tests.consoleauth.harness import OTHER_VM, TOKEN, VIEWER, ConsoleAuthCase

OTHER = "other-token"


class CallTests(SynchronousTestCase):
    """The proxy's side."""

    def setUp(self) -> None:
        self.calls: list[tuple[list[Lease], Deferred[Any]]] = []
        self.leases = LeaseCalls(self.call)

    def call(self, leases: Any) -> Any:
        self.calls.append((list(leases), Deferred()))
        return self.calls[-1][1]

    def keep(self, *names: str) -> list[Deferred[Any]]:
        return [self.leases.keep(name, VIEWER) for name in names]

    def asked(self) -> list[list[str]]:
        return [[token for token, _ in leases] for leases, _ in self.calls]

    def answer(self, number: int, *answers: Any) -> None:
        self.calls[number][1].callback(list(answers))

    def test_few_do_not_wait(self) -> None:
        first, second = self.keep("a", "b")
        self.assertEqual(self.asked(), [["a"], ["b"]])
        self.answer(1, {"mode": "view"})
        self.assertEqual(self.successResultOf(second), {"mode": "view"})
        self.answer(0, {"mode": None})
        self.assertEqual(self.successResultOf(first), {"mode": None})

    def test_many_share_a_call(self) -> None:
        kept = self.keep(*map(str, range(AT_ONCE + MAX_TOKENS + 5)))
        self.assertEqual(len(self.calls), AT_ONCE)
        self.answer(0, {})
        self.assertEqual(len(self.asked()[2]), MAX_TOKENS)
        self.answer(1, {})
        self.assertEqual(len(self.asked()[3]), 5)
        self.answer(2, *({"n": number} for number in range(MAX_TOKENS)))
        self.answer(3, *[{}] * 5)
        self.assertEqual([self.successResultOf(one).get("n") for one in kept[2:4]], [0, 1])
        self.assertEqual(len(self.calls), 4)
        self.keep("z")
        self.assertEqual(self.asked()[4], ["z"])

    def test_each_has_its_own_refusal(self) -> None:
        kept = self.keep(*"abcde")
        self.answer(0, {})
        self.answer(2, {"error": "Revoked", "detail": "moved"}, {"error": "?"}, 7)
        self.assertEqual(self.failureResultOf(kept[2], Revoked).value.detail, "moved")
        self.failureResultOf(kept[3], ServiceUnavailable)
        self.failureResultOf(kept[4], ServiceUnavailable)
        self.answer(1, {})
        self.successResultOf(kept[1])

    def test_a_call_that_fails(self) -> None:
        kept = self.keep(*"abcd")
        self.calls[0][1].errback(ServiceUnavailable("down"))
        self.assertEqual(self.failureResultOf(kept[0], ServiceUnavailable).value.detail, "down")
        self.assertEqual(self.asked()[2], ["c", "d"])
        self.calls[2][1].callback([{}])
        for one in kept[2:]:
            self.failureResultOf(one, ServiceUnavailable)
        (last,) = self.keep("e")
        self.calls[-1][1].callback(None)
        self.failureResultOf(last, ServiceUnavailable)

    def test_cancelled(self) -> None:
        sent, _, waiting, last = self.keep(*"abcd")
        for one in (sent, waiting):
            one.cancel()
            one.addErrback(lambda _: None)
        self.answer(0, {})
        self.assertEqual(self.asked()[2], ["d"])
        self.answer(2, {})
        self.successResultOf(last)

    def test_a_call_that_answers_at_once(self) -> None:
        for answer, right in ((succeed([{}]), True), (fail(ServiceUnavailable("")), False)):
            leases = LeaseCalls(lambda _, answer=answer: answer)  # type: ignore[misc]
            kept = leases.keep("a", VIEWER)
            self.successResultOf(kept) if right else self.failureResultOf(kept, ServiceUnavailable)


class MethodTests(ConsoleAuthCase):
    """consoleauth's side."""

    async def setUp(self) -> None:
        await super().setUp()
        await self.serve()
        one = await self.host("one")
        one.run()
        one.run(OTHER_VM)
        await self.token()

    async def test_each_is_renewed_or_refused(self) -> None:
        await self.token(OTHER, instance_uuid=OTHER_VM)
        await self.api.revoke(SessionFilter(token_hash=hash_token(OTHER)), "moved")
        tokens = [[hash_token(token), VIEWER] for token in (TOKEN, OTHER, "unknown")]
        self.clock.advance(590)
        answer = await self.transport.call("consoleauth", "keep_tokens", tokens=[*tokens, ["bad", VIEWER]])
        self.assertEqual(answer["tokens"][0], {"mode": None})
        self.assertEqual(answer["tokens"][1], {"error": "Revoked", "detail": "moved"})
        self.assertEqual(answer["tokens"][2], {"mode": None})  # as keep_token answers
        self.assertEqual(answer["tokens"][3]["error"], "ServiceUnavailable")
        self.clock.advance(20)
        await self.check()  # by its lease

    async def test_invalid(self) -> None:
        for tokens in (None, {}, "x", [1], [["a"]], [["a", "b", "c"]], [[hash_token(TOKEN), VIEWER]] * 101):
            await self.refused(ServiceUnavailable, self.keep(tokens))

    async def keep(self, tokens: Any) -> Any:
        return await self.transport.call("consoleauth", "keep_tokens", tokens=tokens)

    async def test_through_the_api(self) -> None:
        await self.token(OTHER, instance_uuid=OTHER_VM)
        await self.api.set_mode(hash_token(OTHER), "view")
        kept = [Deferred.fromCoroutine(self.api.keep_token(token, VIEWER)) for token in (TOKEN, OTHER) * 5]
        self.assertEqual([await one for one in kept], [None, "view"] * 5)
