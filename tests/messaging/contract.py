"""The contract of every transport: the same tests run in memory and on a real Redis."""

import time
from typing import Any

from twisted.internet import reactor as real_reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater
from zope.interface.verify import verifyObject

from novnc_twisted import errors
from novnc_twisted.messaging.interfaces import IKeyedStore, ITransport, Service, TopicInUse


class Unprintable(Exception):
    """A bug in a service."""


class TransportContract:
    """Mixed into TestCases that set ``transport`` and ``other``: two started transports of the same bus.

    They may be one object.  ``pause(seconds)`` waits by the transport's clock.
    """

    transport: Any
    other: Any

    async def pause(self, seconds: float) -> None:
        await deferLater(real_reactor, seconds, lambda: None)

    async def serve(self, topic: str = "consoleauth", **methods: Any) -> Any:
        return await self.other.serve(topic, methods, binary="nova-consoleauth", host="control")

    async def test_interfaces(self) -> None:
        verifyObject(ITransport, self.transport)
        verifyObject(IKeyedStore, self.transport.store)

    async def test_call(self) -> None:
        async def echo(**arguments: Any) -> Any:
            return arguments

        await self.serve(echo=echo)
        said = {"text": "grüße \u2028 ☃ \x00", "list": [1, 2.5, None, True], "object": {"a": {}}, "number": "0123"}
        self.assertEqual(await self.transport.call("consoleauth", "echo", **said), said)

    async def test_ping(self) -> None:
        """The bus answers; a topic is there while it is served, and an entry that only announces does not count."""
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
            return (1, {2: 3})

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
        for value in (b"bytes", {1, 2}, object()):
            with self.assertRaises(TypeError):
                await self.transport.call("consoleauth", "echo", value=value)
        for number in (float("nan"), float("inf"), "x" * 2_000_000):
            with self.assertRaises(ValueError):
                await self.transport.call("consoleauth", "echo", value=number)

    async def test_result_without_a_form_in_json(self) -> None:
        async def bad() -> Any:
            return float("nan")

        await self.serve(bad=bad)
        with self.assertRaises(errors.ServiceUnavailable):
            await self.transport.call("consoleauth", "bad")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    async def test_exclusive_topic(self) -> None:
        async def who() -> str:
            return "first"

        options: dict[str, Any] = {"binary": "nova-compute", "host": "one", "exclusive": True}
        await self.other.serve("compute.one", {"who": who}, **options)
        with self.assertRaises(TopicInUse):
            await self.transport.serve("compute.one", {}, **options)
        self.assertEqual(await self.transport.call("compute.one", "who"), "first")
        self.assertEqual(len(await self.transport.services("compute.one")), 1)

    async def test_time_of_the_store(self) -> None:
        self.assertLess(abs(await self.transport.store.now() - time.time()), 60)

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
            raise Unprintable("secret inside")

        await self.serve(stumble=stumble)
        with self.assertRaises(errors.ServiceUnavailable) as caught:
            await self.transport.call("consoleauth", "stumble")
        self.assertNotIn("secret", str(caught.exception))
        self.assertEqual(len(self.flushLoggedErrors(Unprintable)), 1)

    async def test_unknown_method_and_wrong_arguments(self) -> None:
        async def known() -> Any:
            return 1

        await self.serve(known=known)
        with self.assertRaises(errors.ServiceUnavailable):
            await self.transport.call("consoleauth", "unknown")
        with self.assertRaises(errors.ServiceUnavailable):
            await self.transport.call("consoleauth", "__class__")
        with self.assertRaises(errors.ServiceUnavailable):
            await self.transport.call("consoleauth", "known", more=1)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

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

    async def test_store(self) -> None:
        store = self.transport.store
        self.assertIsNone(await store.get("token:a"))
        value = {"text": "ü\n \x00", "0": "0123", "n": None}
        self.assertIsNone(await store.put("token:a", value, 60))
        self.assertEqual(await self.other.store.get("token:a"), value)
        await store.put("token:a", {"second": 1}, 60)
        self.assertEqual(await store.get("token:a"), {"second": 1})
        self.assertEqual(await store.remove("token:a", "token:b", "token:a"), 1)
        self.assertEqual(await store.remove("token:a"), 0)
        self.assertEqual(await store.remove(), 0)
        self.assertIsNone(await store.get("token:a"))

    async def test_store_get_many(self) -> None:
        store = self.transport.store
        await store.put("a", {"n": 1}, 60, index="i")
        await store.put("b", {"n": 2}, 60)
        self.assertEqual(await store.get_many(["b", "c", "a", "b"]), [{"n": 2}, None, {"n": 1}, {"n": 2}])
        self.assertEqual(await store.get_many([]), [])

    async def test_store_takes_only_json_objects(self) -> None:
        store = self.transport.store
        for value in ([1], "text", {"a": b"b"}, {"a": {1}}):
            for put in (store.put, store.put_new):
                with self.assertRaises(TypeError):
                    await put("key", value, 60)
        for value in ({"a": float("nan")}, {"a": "x" * 2_000_000}):
            for put in (store.put, store.put_new):
                with self.assertRaises(ValueError):
                    await put("key", value, 60)
        self.assertIsNone(await store.get("key"))

    async def test_store_keys(self) -> None:
        store = self.transport.store
        for key in ("", "a b", "a\n", "x" * 600):
            for failing in (
                store.put(key, {}, 60),
                store.put_new(key, {}, 60),
                store.get(key),
                store.get_many(["good", key]),
                store.extend(key, 60),
                store.remove(key),
                store.indexed(key),
            ):
                with self.assertRaises(ValueError):
                    await failing

    async def test_store_put_new(self) -> None:
        won = await gatherResults([store.put_new("used:a", {"n": 1}, 60) for store in [self.transport.store] * 20])
        self.assertEqual(won.count(True), 1)
        self.assertFalse(await self.other.store.put_new("used:a", {"n": 2}, 60))
        self.assertEqual(await self.transport.store.get("used:a"), {"n": 1})
        await self.transport.store.put_new("used:b", {}, 0.1)
        await self.pause(0.12)
        self.assertTrue(await self.transport.store.put_new("used:b", {}, 60))

    async def test_store_expiry(self) -> None:
        store = self.transport.store
        await store.put("a", {}, 0.15, index="i")
        await store.put("b", {}, 60, index="i")
        self.assertEqual(await store.indexed("i"), ["a", "b"])
        await self.pause(0.2)
        self.assertIsNone(await store.get("a"))
        self.assertEqual(await store.indexed("i"), ["b"])
        self.assertFalse(await store.extend("a", 60))
        await store.put("b", {}, 0)
        self.assertIsNone(await store.get("b"))

    async def test_store_extend(self) -> None:
        store = self.transport.store
        await store.put("a", {"v": 1}, 0.2, index="i")
        await store.put("b", {"v": 2}, 60, index="i")
        await store.put("c", {"v": 3}, 0.2)
        for key in "abc":
            self.assertTrue(await store.extend(key, 30))
        self.assertTrue(await store.extend("a", 0.05))
        self.assertTrue(await store.extend("a", 0))
        await self.pause(0.25)
        self.assertEqual([await store.get(key) for key in "abc"], [{"v": 1}, {"v": 2}, {"v": 3}])
        self.assertEqual(await store.indexed("i"), ["a", "b"])

    async def test_store_index(self) -> None:
        store = self.transport.store
        for key in ("z", "y", "x"):
            await store.put(key, {}, 60, index="instance:1")
        await store.put("w", {}, 60, index="instance:2")
        self.assertEqual(await store.indexed("instance:1"), ["z", "y", "x"])
        await store.put("z", {}, 60, index="instance:1")
        self.assertEqual(await store.indexed("instance:1"), ["y", "x", "z"])
        surplus = [await store.indexed("instance:1", newest) for newest in range(5)]
        self.assertEqual(surplus, [["y", "x", "z"], ["y", "x"], ["y"], [], []])
        await store.put("y", {}, 60, index="instance:2")
        self.assertEqual(await store.indexed("instance:2"), ["w", "y"])
        await store.put("x", {}, 60)
        self.assertEqual(await store.indexed("instance:1"), ["z"])
        self.assertEqual(await store.remove("z", "w"), 2)
        self.assertEqual(await store.indexed("instance:1"), [])
        self.assertEqual(await store.indexed("instance:2"), ["y"])
        self.assertEqual(await store.indexed("none"), [])

    async def test_store_log(self) -> None:
        store = self.transport.store
        self.assertEqual(await store.newest("l"), [])
        await store.append("l", [{"v": number} for number in range(5)], 60)
        await store.append("l", [], 60)
        await store.append("other", [{"v": "ü"}], 60)
        entries = await store.newest("l")
        self.assertEqual([value for _, value in entries], [{"v": number} for number in (4, 3, 2, 1, 0)])
        for at in range(5):
            older = await store.newest("l", entries[at][0], 2)
            self.assertEqual(older, entries[at + 1 : at + 3])
        self.assertEqual([value for _, value in await store.newest("other")], [{"v": "ü"}])
        for wrong in ("x", "1", "1-", "1-2-3", "-1-1"):
            await self.assertFailure(store.newest("l", wrong), ValueError)

    async def test_store_log_expires(self) -> None:
        store = self.transport.store
        await store.append("l", [{"v": 1}], 0.2)
        await self.pause(0.25)
        self.assertEqual(await store.newest("l"), [])

    async def test_store_groups(self) -> None:
        store = self.transport.store
        self.assertEqual(await store.members("g", 60), [])
        for member in ("two", "one", "two"):
            await store.join("g", member, 60)
        await store.join("other", "three", 60)
        self.assertEqual(await store.members("g", 60), ["one", "two"])
        await store.leave("g", "two")
        await store.leave("g", "never there")
        await store.leave("g")
        self.assertEqual(await store.members("g", 0.2), ["one"])
        await self.pause(0.25)
        self.assertEqual(await store.members("g", 60), [])
        self.assertEqual(await store.members("other", 60), ["three"])

    async def test_store_removes_any_number(self) -> None:
        store = self.transport.store
        await store.put("k9999", {}, 60)
        self.assertEqual(await store.remove(*(f"k{number}" for number in range(10_000))), 1)
        self.assertIsNone(await store.get("k9999"))
