"""The contract of every transport: calls."""

from typing import Any

from twisted.internet import reactor as real_reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from novnc_twisted import errors
from novnc_twisted.contract.connect_info import ConnectInfo
from tests.messaging.contract import TransportContract


class Bug(Exception):
    """An unexpected exception."""


class CallContract(TransportContract):
    """A call, its answer, and the ways in which it fails."""

    async def test_call(self) -> None:
        async def echo(**arguments: Any) -> Any:
            return arguments

        await self.serve(echo=echo)
        sent = {"text": "grüße \u2028 ☃ \x00", "list": [1, 2.5, None, True], "object": {"a": {}}, "number": "0123"}
        self.assertEqual(await self.transport.call("consoleauth", "echo", **sent), sent)

    async def test_ping(self) -> None:
        """The bus answers a ping.  A ping of a topic succeeds while it is served; an announcement is not enough."""
        await self.transport.ping()
        await self.other.announce("consoleauth", binary="nova-consoleauth", host="control")
        with self.assertRaises(errors.ServiceUnavailable) as raised:
            await self.transport.ping("consoleauth")
        self.assertIn("consoleauth", str(raised.exception))
        withdraw = await self.serve()
        await self.transport.ping("consoleauth")
        await withdraw()
        with self.assertRaises(errors.ServiceUnavailable):
            await self.transport.ping("consoleauth")

    async def test_results_are_json(self) -> None:
        async def pair() -> Any:
            return (1, {"2": 3})

        await self.serve(pair=pair)
        self.assertEqual(await self.transport.call("consoleauth", "pair"), [1, {"2": 3}])

    async def test_method_may_return_a_deferred(self) -> None:
        fires: Deferred[str] = Deferred()
        await self.serve(later=lambda: fires)
        called = self.transport.call("consoleauth", "later")
        real_reactor.callLater(0.01, fires.callback, "now")
        self.assertEqual(await called, "now")

    async def test_arguments_without_a_form_in_json(self) -> None:
        async def echo(value: Any) -> Any:
            raise AssertionError("must not be called")

        await self.serve(echo=echo)
        endless: list[Any] = []
        endless.append(endless)
        secret = ConnectInfo(host="h", port=1, instance_uuid="u", name="n", console_type="novnc", password="p")
        for value in (object(), {None: 1}, {"a": len}, b"bytes", {1, 2}, "\ud800", endless, secret):
            with self.assertRaises(TypeError):
                await self.transport.call("consoleauth", "echo", value=value)
        for value in ("x" * 2_000_000, "ü" * 600_000):
            with self.assertRaises(ValueError):
                await self.transport.call("consoleauth", "echo", value=value)

    async def test_numbers_without_a_form_in_json(self) -> None:
        async def echo(value: Any) -> Any:
            return value

        await self.serve(echo=echo)
        for number in (float("nan"), float("inf"), float("-inf")):
            self.assertIsNone(await self.transport.call("consoleauth", "echo", value=number))

    async def test_result_without_a_form_in_json(self) -> None:
        async def bad() -> Any:
            return object()

        await self.serve(bad=bad)
        with self.assertRaises(errors.ServiceUnavailable):
            await self.transport.call("consoleauth", "bad")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    async def test_refusals_keep_their_type(self) -> None:
        async def refuse(name: str) -> Any:
            raise errors.TABLE[name]("why " * 500)

        await self.serve(refuse=refuse)
        for name, row in errors.TABLE.items():
            with self.assertRaises(row) as caught:
                await self.transport.call("consoleauth", "refuse", name=name)
            self.assertIs(type(caught.exception), row)
            self.assertTrue(caught.exception.detail.startswith("why why"))
            self.assertLess(len(caught.exception.detail), 1000)

    async def test_refusal_that_is_not_in_the_table(self) -> None:
        class Special(errors.InvalidToken):
            """A refusal of a plugin."""

        async def refuse() -> Any:
            raise Special("x")

        await self.serve(refuse=refuse)
        with self.assertRaises(errors.InvalidToken) as caught:
            await self.transport.call("consoleauth", "refuse")
        self.assertIs(type(caught.exception), errors.InvalidToken)

    async def test_a_bug_is_logged_once_where_it_happened(self) -> None:
        async def stumble() -> Any:
            raise Bug("secret inside")

        await self.serve(stumble=stumble)
        with self.assertRaises(errors.ServiceUnavailable) as caught:
            await self.transport.call("consoleauth", "stumble")
        self.assertNotIn("secret", str(caught.exception))
        self.assertEqual(len(self.flushLoggedErrors(Bug)), 1)

    async def test_unknown_method_and_wrong_arguments(self) -> None:
        async def known() -> Any:
            return 1

        await self.serve(known=known)
        with self.assertRaises(errors.ServiceUnavailable):
            await self.transport.call("consoleauth", "unknown")
        with self.assertRaises(errors.ServiceUnavailable):
            await self.transport.call("consoleauth", "__class__")
        with self.assertRaises(errors.ServiceUnavailable) as caught:
            await self.transport.call("consoleauth", "known", more=1)
        # Nothing is logged: a caller must not be able to fill the log of the service.
        self.assertIn("known has other arguments", str(caught.exception))

    async def test_a_topic_without_a_server(self) -> None:
        await self.other.announce("novncproxy.h", binary="nova-novncproxy", host="h")
        for topic in ("consoleauth", "novncproxy.h"):
            with self.assertRaises(errors.ServiceUnavailable) as caught:
                await self.transport.call(topic, "check_token", deadline=60)
            self.assertIn(f"nobody serves {topic}", caught.exception.detail)

    async def test_invalid_topics(self) -> None:
        for topic in ("", "a b", "a\n", "ü", "x" * 300):
            with self.assertRaises(ValueError):
                await self.transport.serve(topic, {}, binary="b", host="h")

    async def test_deadline(self) -> None:
        cancelled: Deferred[None] = Deferred()

        async def slow() -> Any:
            try:
                await Deferred()
            except CancelledError:
                cancelled.callback(None)
                raise

        await self.serve(slow=slow)
        called = self.transport.call("consoleauth", "slow", deadline=0.2)
        await self.pause(0.2)
        with self.assertRaises(errors.ServiceUnavailable):
            await called
        await cancelled

    async def test_deadline_that_is_over(self) -> None:
        await self.serve()
        with self.assertRaises(errors.ServiceUnavailable):
            await self.transport.call("consoleauth", "any", deadline=0)

    async def test_cancel(self) -> None:
        async def slow() -> Any:
            await Deferred()

        async def quick() -> Any:
            return "quick"

        await self.serve(slow=slow, quick=quick)
        called = self.transport.call("consoleauth", "slow", deadline=0.5)
        called.cancel()
        with self.assertRaises(CancelledError):
            await called
        self.assertEqual(await self.transport.call("consoleauth", "quick"), "quick")

    async def test_method_that_swallows_its_cancellation(self) -> None:
        release: Deferred[None] = Deferred()

        async def stubborn() -> Any:
            try:
                await Deferred()
            except CancelledError:
                await release

        await self.serve(stubborn=stubborn)
        called = self.transport.call("consoleauth", "stubborn", deadline=0.1)
        await self.pause(0.1)
        with self.assertRaises(errors.ServiceUnavailable):
            await called
        release.callback(None)

    async def test_method_that_cancels_something_of_its_own(self) -> None:
        async def gives_up() -> Any:
            own: Deferred[None] = Deferred()
            own.cancel()
            await own

        await self.serve(gives_up=gives_up)
        with self.assertRaises(errors.ServiceUnavailable):
            await self.transport.call("consoleauth", "gives_up")

    async def test_many_at_once_each_its_own_answer(self) -> None:
        async def echo(number: int) -> Any:
            return number

        await self.serve(echo=echo)
        answers = await gatherResults([self.transport.call("consoleauth", "echo", number=n) for n in range(300)])
        self.assertEqual(answers, list(range(300)))
