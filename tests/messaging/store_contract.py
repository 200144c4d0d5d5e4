"""The contract of every transport: the keyed store."""

import time

from twisted.internet.defer import gatherResults

from tests.messaging.contract import TransportContract


class StoreContract(TransportContract):
    """The keyed store: values, indexes, logs and groups."""

    async def test_time_of_the_store(self) -> None:
        self.assertLess(abs(await self.transport.store.now() - time.time()), 60)

    async def test_store(self) -> None:
        store = self.transport.store
        self.assertIsNone(await store.get("token:a"))
        value = {"text": "ü\n \x00", "0": "0123", "n": None}
        await store.put("token:a", value, 60)
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
        for value in ([1], "text", {"a": object()}, {"a": b"b"}, {"a": {1}}, {"a": "\ud800"}):
            for put in (store.put, store.put_new):
                with self.assertRaises(TypeError):
                    await put("key", value, 60)
        for put in (store.put, store.put_new):
            with self.assertRaises(ValueError):
                await put("key", {"a": "x" * 2_000_000}, 60)
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
        sizes = [await store.put(key, {}, 60, index="instance:1") for key in ("z", "y", "x")]
        sizes += [await store.put("w", {}, 60, index="instance:2"), await store.put("w", {}, 60, index="instance:2")]
        sizes += [await store.put("v", {}, 60), await store.put("v", {}, 0, index="instance:2")]
        self.assertEqual(sizes, [1, 2, 3, 1, 1, 0, 0])
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
        await store.join("g", "later", 0.2)
        self.assertEqual(await self.other.store.members("g", 60), ["later"])
        await self.pause(0.25)
        self.assertEqual(await store.members("g", 60), ["later"])

    async def test_store_removes_any_number(self) -> None:
        store = self.transport.store
        await store.put("k9999", {}, 60)
        self.assertEqual(await store.remove(*(f"k{number}" for number in range(10_000))), 1)
        self.assertIsNone(await store.get("k9999"))
