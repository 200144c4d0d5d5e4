"""Tests for every transport: serving topics, broadcasts, and presence."""

from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from novnc_twisted import errors
from novnc_twisted.messaging.interfaces import Service, TopicInUse
from tests.messaging.contract import TransportContract


class TopicContract(TransportContract):
    async def test_exclusive_topic(self) -> None:
        async def who() -> str:
            return "first"

        options: dict[str, Any] = {"binary": "nova-compute", "host": "one", "exclusive": True}
        await self.other.serve("compute.one", {"who": who}, **options)
        with self.assertRaises(TopicInUse):
            await self.transport.serve("compute.one", {}, **options)
        self.assertEqual(await self.transport.call("compute.one", "who"), "first")
        self.assertEqual(len(await self.transport.services("compute.one")), 1)

    async def test_mistakes_fail_the_deferred(self) -> None:
        """No method raises directly, so callers need only one kind of error handling."""
        who = {"binary": "nova-b", "host": "h"}
        for failed in (
            self.transport.serve("consoleauth", {}, place="a b", **who),
            self.transport.serve("a b", {}, **who),
            self.transport.announce("a b", **who),
        ):
            with self.assertRaises(ValueError):
                await failed

    async def test_workers_share_a_topic(self) -> None:
        seen: list[tuple[int, int]] = []

        def worker(me: int) -> Any:
            async def work(number: int) -> Any:
                seen.append((me, number))
                return number

            return work

        for me in range(3):
            await self.serve(work=worker(me))
        await gatherResults([self.transport.call("consoleauth", "work", number=n) for n in range(90)])
        self.assertEqual(sorted(number for _, number in seen), list(range(90)))
        self.assertEqual({me for me, _ in seen}, {0, 1, 2})

    async def test_broadcast_reaches_every_topic_of_a_kind(self) -> None:
        def server(name: str) -> Any:
            async def count(number: int) -> Any:
                return [name, number]

            return count

        for topic in ("proxy.b.1", "proxy.a.2", "proxy.a.1", "compute.a"):
            await self.serve(topic, count=server(topic))
        answers = await self.transport.broadcast("proxy.", "count", number=7)
        self.assertEqual(
            [(one.service.topic, one.result, one.refusal) for one in answers],
            [(topic, [topic, 7], None) for topic in ("proxy.a.1", "proxy.a.2", "proxy.b.1")],
        )
        self.assertEqual(await self.transport.broadcast("serial.", "count", number=7), [])

    async def test_broadcast_reports_each_refusal(self) -> None:
        async def refuse() -> Any:
            raise errors.ConsoleForbidden("why")

        async def none() -> Any:
            return None

        async def silent() -> Any:
            await Deferred()

        await self.serve("proxy.a", ask=refuse)
        await self.serve("proxy.b", ask=none)
        await self.serve("proxy.c", ask=silent)
        await self.serve("proxy.d", other=none)
        await self.other.announce("proxy.e", binary="nova-novncproxy", host="h")
        asking = self.transport.broadcast("proxy.", "ask", deadline=1)
        await self.pause(1)
        refused, given, late, unknown, announced = await asking
        self.assertEqual((type(refused.refusal), refused.refusal.detail), (errors.ConsoleForbidden, "why"))
        self.assertEqual((given.result, given.refusal), (None, None))
        for no_answer in (late, unknown, announced):
            self.assertIs(type(no_answer.refusal), errors.ServiceUnavailable)
        self.assertIn("did not answer", late.refusal.detail)
        self.assertIn("no such method", unknown.refusal.detail)
        self.assertIn("nobody serves proxy.e", announced.refusal.detail)

    async def test_broadcast_calls_one_of_the_servers_that_share_a_topic(self) -> None:
        calls: list[int] = []

        def server(number: int) -> Any:
            async def ask() -> Any:
                calls.append(number)

            return ask

        for number in range(3):
            await self.serve("consoleauth", ask=server(number))
        self.assertEqual(len(await self.transport.broadcast("consoleauth", "ask")), 1)
        self.assertEqual(len(calls), 1)

    async def test_broadcast_checks_its_arguments_first(self) -> None:
        with self.assertRaises(TypeError):
            await self.transport.broadcast("proxy.", "ask", value=object())

    async def test_stop_serving(self) -> None:
        async def answer() -> Any:
            return 1

        stop = await self.serve(answer=answer)
        self.assertEqual(await self.transport.call("consoleauth", "answer"), 1)
        await stop()
        await stop()
        with self.assertRaises(errors.ServiceUnavailable) as caught:
            await self.transport.call("consoleauth", "answer")
        self.assertIn("nobody serves", caught.exception.detail)
        self.assertEqual(await self.transport.services(), [])

    async def test_stop_serving_fails_pending_calls(self) -> None:
        begun: Deferred[None] = Deferred()

        async def slow() -> Any:
            begun.callback(None)
            await Deferred()

        stop = await self.serve(slow=slow)
        called = self.transport.call("consoleauth", "slow", deadline=60)
        await begun
        await stop()
        with self.assertRaises(errors.ServiceUnavailable):
            await called

    async def test_stop_transport(self) -> None:
        begun: Deferred[None] = Deferred()

        async def slow() -> Any:
            begun.callback(None)
            await Deferred()

        await self.serve(slow=slow)
        called = self.transport.call("consoleauth", "slow", deadline=60)
        await begun
        stopped = self.transport.stop()
        with self.assertRaises(errors.ServiceUnavailable):
            await called
        await stopped
        for again in (self.transport.call("consoleauth", "slow"), self.transport.services()):
            with self.assertRaises(errors.ServiceUnavailable):
                await again
        await self.transport.stop()

    async def test_services(self) -> None:
        async def none() -> Any:
            return None

        info = {"server_proxyclient_address": "192.0.2.1"}
        methods = {"none": none}
        await self.other.serve("compute.b", methods, binary="nova-compute", host="b", info=info)
        await self.other.serve("compute.a", methods, binary="nova-compute", host="a")
        await self.other.serve("compute.a", methods, binary="nova-compute", host="a")
        stop = await self.other.announce("novncproxy.c", binary="nova-novncproxy", host="c", info={"x": [1]})
        found: list[Service] = await self.transport.services("compute.")
        self.assertEqual([one.topic for one in found], ["compute.a", "compute.a", "compute.b"])
        self.assertEqual(len({one.worker for one in found}), 3)
        self.assertEqual(found, sorted(found, key=lambda one: (one.topic, one.worker)))
        self.assertEqual((found[2].binary, found[2].host, found[2].info), ("nova-compute", "b", info))
        self.assertEqual([one.info for one in await self.transport.services("novnc")], [{"x": [1]}])
        self.assertEqual(len(await self.transport.services()), 4)
        await stop()
        self.assertEqual(await self.transport.services("novnc"), [])
