"""Keys that users of the API send: tickets, encryption, and the pace at which QEMU gets them."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.compute.keyboard_api import KeyboardAPI, in_messages
from novnc_twisted.compute.keyboards import TICKET_LIFETIME
from novnc_twisted.contract import Instance, typing
from novnc_twisted.contract.typing import MAX_CHORDS, Strokes, TypingTicket, new_ticket, seal, unseal
from novnc_twisted.errors import InstanceNotFound, InstanceNotRunning, ServiceUnavailable
from tests.compute.harness import A, B, ComputeCase, domain

TEXT = [(30,), (42, 31), (28,), (32,)]
ONE = Instance(uuid=A, name="x", state="running", host="one")


def sealed(ticket: TypingTicket, plain: str) -> str:
    """Encrypt a text as the first message of a ticket."""
    box = ChaCha20Poly1305(bytes.fromhex(ticket.secret or ""))
    return base64.b64encode(box.encrypt(bytes(12), plain.encode("utf-8", "surrogatepass"), None)).decode()


class SealingTests(SynchronousTestCase):
    def test_both_ways(self) -> None:
        ticket, strokes = new_ticket(), Strokes(((29, 56, 111), (28,)), 50, more=True)
        self.assertEqual(unseal(ticket, 3, seal(ticket, 3, strokes)), strokes)
        self.assertNotIn(ticket.secret, repr(ticket))

    def test_another_ticket_number_or_text(self) -> None:
        ticket = new_ticket()
        sealed = seal(ticket, 0, Strokes(((30,),), 10))
        for other, number, text in (
            (new_ticket(), 0, sealed),
            (ticket, 1, sealed),
            (ticket, 0, "x"),
            (ticket, 0, None),
            (ticket, 0, ("B" if sealed[0] == "A" else "A") + sealed[1:]),
            (ticket, 0, ""),
        ):
            self.assertRaises(ValueError, unseal, other, number, text)

    def test_limits(self) -> None:
        ticket = new_ticket()
        wrong: list[Any] = [
            Strokes((), 10),
            Strokes(((),), 10),
            Strokes(((0,),), 10),
            Strokes(((256,),), 10),
            Strokes(((1, 0),), 10),
            Strokes(((1,) * 17,), 10),
            Strokes(((1,),) * (MAX_CHORDS + 1), 1),
            Strokes(((1,),), 0),
            Strokes(((1,),), 201),
            Strokes(((1,),) * 51, 100),
        ]
        for strokes in wrong:
            self.assertRaises(ValueError, unseal, ticket, 0, seal(ticket, 0, strokes))

    def test_sealed_but_malformed(self) -> None:
        """A caller with a ticket can seal anything."""
        ticket, good = new_ticket(), {"chords": [[30]], "hold": 10, "more": False}
        for plain in (
            *(json.dumps({key: value for key, value in good.items() if key != missing}) for missing in good),
            *(json.dumps(good | {"chords": wrong}) for wrong in (None, 30, "a", [30], [None], ["a"], [[1.5]])),
            *(json.dumps(good | {"hold": wrong}) for wrong in (None, "10", 1.5, True, [])),
            *(json.dumps(good | {"more": wrong}) for wrong in (None, "", 1, [])),
            *("[]", "null", "1", "", "{", "[" * 100_000, '{"hold":NaN}', "\ud800"),
        ):
            self.assertRaises(ValueError, unseal, ticket, 0, sealed(ticket, plain))

    def test_just_within_the_limits(self) -> None:
        ticket = new_ticket()
        for strokes in (
            Strokes(((1,),), 1),
            Strokes(((255,) * 16,), 200),
            Strokes(((1,),) * MAX_CHORDS, 1),
            Strokes(((1,),) * 50, 100),  # 10 s
        ):
            self.assertEqual(unseal(ticket, 0, seal(ticket, 0, strokes)), strokes)


class KeyboardTests(ComputeCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.driver = await self.host()
        self.driver.add(domain(), domain(B, "stopped", active=False, state="shutoff"))
        self.keyboard = KeyboardAPI(self.transport)
        self.pressed: list[int] = []

    def press(self, chords: Any = TEXT, hold: int = 10) -> Deferred[bool]:
        return Deferred.fromCoroutine(self.keyboard.press(ONE, chords, hold, self.pressed.append))

    def pump(self, seconds: float = 60.0) -> None:
        for _ in range(int(seconds * 100)):
            self.clock.advance(0.01)

    def test_in_order_and_no_faster_than_the_guest(self) -> None:
        answer = self.press()
        self.assertEqual(self.driver.keys, [(A, (30,), 10)])
        self.clock.advance(0.02)
        self.assertEqual(self.driver.keys[1:], [(A, (42, 31), 10)])
        self.clock.advance(0.04)
        self.assertEqual(self.driver.keys[2:], [(A, (28,), 10)])
        self.clock.advance(0.02)
        self.assertEqual(len(self.driver.keys), 3)  # a pause, because the chord was Enter
        self.clock.advance(0.12)
        self.assertEqual(self.driver.keys[3:], [(A, (32,), 10)])
        self.assertNoResult(answer)
        self.clock.advance(0.02)
        self.assertTrue(self.successResultOf(answer))
        self.assertEqual(self.pressed, [5])
        self.assertEqual(self.waiting(), [])

    def test_an_error_names_the_host(self) -> None:
        self.driver.down = True
        refusal = self.failureResultOf(self.press(), ServiceUnavailable).value
        self.assertEqual(refusal.detail, "compute host one: libvirt is down")

    def test_a_long_text(self) -> None:
        chords = [(30 + i % 8,) for i in range(1000)]
        answer = self.press(chords)
        self.pump()
        self.assertTrue(self.successResultOf(answer))
        self.assertEqual([chord for _, chord, _ in self.driver.keys], chords)
        self.assertEqual((sum(self.pressed), len(self.pressed)), (1000, 10))

    def test_nothing_readable_on_the_bus(self) -> None:
        sent: list[str] = []
        call = self.transport.call

        def noted(*arguments: Any, **more: Any) -> Any:
            sent.append(json.dumps(more))
            return call(*arguments, **more)

        self.patch(self.transport, "call", noted)
        answer = self.press([(111, 222)])
        self.pump(1)
        self.assertTrue(self.successResultOf(answer))
        self.assertEqual(len(sent), 2)
        self.assertFalse([text for text in sent if "111" in text and "222" in text])

    def test_one_at_a_time(self) -> None:
        first, second = self.press([(30,)] * 50), self.press([(31,)])
        self.assertFalse(self.successResultOf(second))
        self.pump(2)
        self.assertTrue(self.successResultOf(first))
        third = self.press([(31,)])
        self.pump(1)
        self.assertTrue(self.successResultOf(third))
        self.assertEqual([chord for _, chord, _ in self.driver.keys], [(30,)] * 50 + [(31,)])

    def test_a_caller_who_leaves(self) -> None:
        """Keys that were not sent yet are not typed, and the keyboard is free again."""
        answer = self.press([(30,)] * 1000)
        self.clock.advance(0.02)
        answer.cancel()
        self.failureResultOf(answer)
        self.pump(TICKET_LIFETIME + 10)
        self.assertLessEqual(len(self.driver.keys), 101)
        again = self.press([(31,)])
        self.pump(1)
        self.assertTrue(self.successResultOf(again))

    def test_paused_meanwhile(self) -> None:
        answer = self.press([(30,)] * 1000)
        self.clock.advance(0.02)
        self.driver.add(domain(state="paused"))
        self.pump(5)
        self.failureResultOf(answer, InstanceNotRunning)
        self.assertEqual(len(self.driver.keys), 100)

    async def test_refusals(self) -> None:
        await self.refused(InstanceNotRunning, self.call("begin_keys", instance_uuid=B))
        await self.refused(InstanceNotFound, self.call("begin_keys", instance_uuid="x"))
        unknown = {"instance_uuid": A, "ticket": "x", "keys": "x"}
        self.assertEqual(await self.call("send_keys", **unknown), {"pressed": False})
        ticket = await self.call("begin_keys", instance_uuid=A)
        await self.refused(ServiceUnavailable, self.call("send_keys", **unknown | {"ticket": ticket["id"]}))
        self.driver.down = True
        await self.refused(ServiceUnavailable, self.keyboard.press(ONE, TEXT, 10))
        self.assertEqual(self.driver.keys, [])

    async def test_a_malformed_message(self) -> None:
        """The caller gets a refusal that names the argument, and the log has no traceback."""
        ticket = TypingTicket.from_wire(await self.call("begin_keys", instance_uuid=A))
        keys = sealed(ticket, '{"chords": [[30]]}')
        refusal = await self.refused(
            ServiceUnavailable, self.call("send_keys", instance_uuid=A, ticket=ticket.id, keys=keys)
        )
        self.assertEqual(refusal.detail, "keys: chords, hold or more is missing or has a wrong type")
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_a_ticket_that_ends_before_the_first_key(self) -> None:
        """If libvirt answers only after the ticket's lifetime, no key is pressed."""
        ticket = TypingTicket.from_wire(await self.call("begin_keys", instance_uuid=A))
        found, slow = await self.driver.get_domain(A), Deferred[Any]()
        self.patch(self.driver, "get_domain", lambda uuid: slow)
        keys = seal(ticket, 0, Strokes(((30,),), 10))
        answer = Deferred.fromCoroutine(
            self.call("send_keys", deadline=60.0, instance_uuid=A, ticket=ticket.id, keys=keys)
        )
        self.pump(TICKET_LIFETIME + 1)
        slow.callback(found)
        self.assertEqual(self.successResultOf(answer), {"pressed": False})
        self.assertEqual(self.driver.keys, [])

    def test_stopping(self) -> None:
        answer = self.press()
        self.successResultOf(self.managers["one"].stop())
        self.pump(1)
        self.failureResultOf(answer, ServiceUnavailable)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class MessageTests(SynchronousTestCase):
    def test_lengths(self) -> None:
        messages = list(in_messages([(30,)] * 250, 10))
        self.assertEqual([len(one.chords) for one in messages], [100, 100, 50])
        self.assertEqual([one.more for one in messages], [True, True, False])
        messages = list(in_messages([(28,)] * 40, 10))
        self.assertTrue(all(one.seconds <= typing.MAX_SECONDS for one in messages))
        self.assertEqual(sum(len(one.chords) for one in messages), 40)
