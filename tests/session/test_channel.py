"""The channel of a live session: what the page receives and asks for, and what ends a session that misuses it."""

import json
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.task import Clock

from novnc_twisted.contract import Person, SharedLink
from novnc_twisted.errors import ConsoleForbidden, InstanceNotRunning, ServiceUnavailable
from novnc_twisted.rfb.clipboard import NO_LIMITS, ClipboardLimits
from novnc_twisted.session import channel
from novnc_twisted.session.people import PeopleList
from tests.session.harness import TOKEN, frame, introduce
from tests.session.test_view_only import ViewOnlyCase

OFFER = "Sec-WebSocket-Protocol: novnc-twisted.v1, binary\r\n"
RESIZE = b"\xfb\0\0\x40\0\x30\1\0" + bytes(16)


class FakePeople:
    """Records the requests."""

    def __init__(self) -> None:
        self.asked: DeferredQueue[tuple[str, ...]] = DeferredQueue()
        self.answer: Any = None
        self.attending: Exception | None = None

    async def attend(self, token: str) -> None:
        self.asked.put(("attend", token))
        if self.attending is not None:
            raise self.attending

    async def change_control(self, server_id: str, session_id: str, token: str, action: str, other: str) -> str | None:
        self.asked.put((action, other))
        if isinstance(self.answer, Deferred):
            await self.answer
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]

    async def share(self, token: str, client_address: str, mode: str, seconds: float) -> SharedLink:
        self.asked.put(("share", mode, str(seconds)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return SharedLink("new", seconds)


class ChannelCase(ViewOnlyCase):
    power: Any = None

    async def page(self, *, settings: Any = None, **info: Any) -> tuple[Any, Any]:
        """Begin a session, and read the first message to the page."""
        self.info = info
        self.people = FakePeople()
        self.novnc(people=self.people, change_power=self.power, **({} if settings is None else {"settings": settings}))
        self.viewer = await self.websocket(more=OFFER)
        await introduce(self.viewer)
        server = await self.live()
        self.rights = await self.message()
        self.assertEqual(await self.people.asked.get(), ("attend", TOKEN))
        return self.viewer, server

    async def message(self) -> Any:
        """Return the next message to the page."""
        while True:
            opcode, payload = await self.viewer.frame()
            if opcode == 1:
                return json.loads(payload)
            self.viewer.stream += payload

    def send(self, text: Any) -> None:
        self.viewer.raw.write(frame(1, (text if isinstance(text, str) else json.dumps(text)).encode()))

    async def answer(self, message: Any) -> Any:
        self.send(message)
        return await self.message()

    def show(self, *people: Person, at: float = 1.0, **more: Any) -> bool:
        return bool(self.session().show_people(PeopleList(at=at, people=people, **more)))

    @property
    def own_id(self) -> str:
        return str(self.session().id)


class Asked(ChannelCase):
    async def test_rights(self) -> None:
        await self.page()
        self.assertEqual(
            self.rights,
            {
                "type": "rights",
                "mode": "control",
                "own": "control",
                "resizes": True,
                "shares": True,
                "power": False,
                "clipboard": None,
                "clipboard_from": None,
                "ends_in": None,
            },
        )
        self.session().change_mode("view")
        changed = await self.message()
        self.assertEqual((changed["mode"], changed["own"]), ("view", "view"))

    async def test_the_limits_of_the_clipboard(self) -> None:
        for limits, expected in (
            (ClipboardLimits(to_server=0), (0, None)),
            (ClipboardLimits(5, 6), (5, 6)),
            (ClipboardLimits(from_server=0), (None, 0)),
            (NO_LIMITS, (None, None)),
        ):
            await self.page(settings=self.settings(clipboard=limits))
            self.assertEqual((self.rights["clipboard"], self.rights["clipboard_from"]), expected)
            self.session().end(ServiceUnavailable())
            self.viewer.raw.transport.loseConnection()  # otherwise, the proxy waits two seconds for it
            await self.all_over()

    async def test_a_guest_does_not_share(self) -> None:
        await self.page(shared_from="0" * 64)
        self.assertEqual(self.rights["shares"], False)

    async def test_control(self) -> None:
        await self.page()
        self.assertEqual(await self.answer({"type": "give", "id": "x"}), {"type": "done", "of": "give"})
        self.assertEqual(await self.people.asked.get(), ("give", "x"))
        for action in ("request", "take", "release"):
            self.assertEqual((await self.answer({"type": action}))["type"], "done")
            self.assertEqual(await self.people.asked.get(), (action, ""))

    async def test_asked_again_at_once(self) -> None:
        """For five seconds, consoleauth's answer is repeated without a new call, unless the rights change."""
        await self.page(mode="view")
        clock = Clock()
        self.patch(self.session(), "services", replace(self.session().services, reactor=clock))
        for self.people.answer, answer in (("nobody", "refused"), (None, "done")):
            for _ in range(4):
                self.assertEqual((await self.answer({"type": "request"}))["type"], answer)
                clock.advance(channel.REQUEST_REPEATED / 5)
            self.assertEqual(len(self.people.asked.pending), 1)
            await self.people.asked.get()
            clock.advance(channel.REQUEST_REPEATED / 5)
        self.assertEqual((await self.answer({"type": "request"}))["type"], "done")
        self.show(Person(id=self.own_id, mode="control"), at=1.0)
        self.show(Person(id=self.own_id, mode="view"), at=2.0)
        self.assertEqual([(await self.message())["type"] for _ in range(3)], ["rights", "people", "rights"])
        await self.message()
        await self.answer({"type": "request"})
        self.assertEqual(len(self.people.asked.pending), 2)

    async def test_refused(self) -> None:
        await self.page()
        for answer, reason in (
            ("barred", "barred"),
            (ConsoleForbidden(), "forbidden"),
            (ServiceUnavailable(), "unavailable"),
        ):
            self.people.answer = answer
            refused = await self.answer({"type": "take"})
            self.assertEqual(refused, {"type": "refused", "of": "take", "reason": reason})
        for message in (
            {"type": "dance"},
            {"type": "give", "id": 1},
            {"type": "give", "id": "x" * 300},
            {"type": "share"},
            {"type": "share", "mode": "all", "seconds": 1},
            {"type": "share", "mode": "view", "seconds": 0},
            {"type": "share", "mode": "view", "seconds": 1e9},
            {"type": "share", "mode": "view", "seconds": True},
        ):
            self.assertEqual((await self.answer(message))["reason"], "unknown", message)

    async def test_a_mistake_of_ours(self) -> None:
        await self.page()
        self.people.answer = ZeroDivisionError()
        self.assertEqual((await self.answer({"type": "take"}))["reason"], "unavailable")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_one_at_a_time(self) -> None:
        """A second message waits for the answer to the first; a third one is refused."""
        await self.page()
        self.people.answer = held = Deferred[None]()
        self.send({"type": "give", "id": "x"})
        self.send({"type": "take"})
        refused = await self.answer({"type": "release"})
        self.assertEqual(refused, {"type": "refused", "of": "release", "reason": "busy"})
        self.assertEqual(self.people.asked.pending, [("give", "x")])
        self.people.answer = None
        held.callback(None)
        self.assertEqual(
            [await self.message() for _ in range(2)], [{"type": "done", "of": of} for of in ("give", "take")]
        )
        self.assertEqual((await self.answer({"type": "release"}))["type"], "done")

    async def test_what_waits_ends_with_the_session(self) -> None:
        await self.page()
        self.people.answer = held = Deferred[None]()
        self.send({"type": "give", "id": "x"})
        self.send({"type": "take"})
        self.send("no JSON")
        await self.viewer.until_closed()
        self.people.answer = None
        held.callback(None)
        self.assertEqual(self.people.asked.pending, [("give", "x")])

    async def test_a_link(self) -> None:
        await self.page()
        link = await self.answer({"type": "share", "mode": "view", "seconds": 60})
        self.assertEqual(link, {"type": "link", "token": "new", "mode": "view", "seconds": 60.0})
        self.assertNotIn("new", self.log_text())

    async def closed_by(self, *texts: str) -> tuple[int, str]:
        await self.page()
        for text in texts:
            self.send(text)
        return await self.viewer.until_closed()  # type: ignore[no-any-return]

    async def test_a_server_that_is_paused_from_the_beginning(self) -> None:
        await self.page(state="paused")
        self.assertEqual(await self.message(), {"type": "server", "state": "paused", "actions": []})

    async def test_the_state_of_the_server(self) -> None:
        await self.page()
        session = self.session()
        self.assertEqual(await self.answer({"type": "state"}), {"type": "server", "state": "", "actions": []})
        asked: list[Any] = []

        async def find_again(token: str, client_address: str, info: Any) -> Any:
            asked.append((token, info.instance_uuid))
            return replace(info, state="paused")

        self.patch(session, "services", replace(session.services, find_again=find_again))
        self.assertEqual(await self.answer({"type": "state"}), {"type": "server", "state": "paused", "actions": []})
        self.assertEqual(asked, [(session.viewer.token, "uuid-1")])
        # consoleauth and the compute host are not asked again at once.
        self.assertEqual(await self.answer({"type": "state"}), {"type": "server", "state": "paused", "actions": []})
        self.assertEqual(len(asked), 1)
        self.patch(channel, "STATE_REPEATED", 0.0)

        async def refused(*_arguments: Any) -> Any:
            raise InstanceNotRunning

        self.patch(session, "services", replace(session.services, find_again=refused))
        answer = await self.answer({"type": "state"})
        self.assertEqual(answer, {"type": "refused", "of": "state", "reason": "unavailable"})

    async def test_no_json(self) -> None:
        for text in ("", "no", "[]", "{}", '{"type": 1}', '{"type": NaN}', "[" * 4000):
            self.assertEqual((await self.closed_by(text))[0], 1002, text)
            await self.all_over()

    async def test_a_flood(self) -> None:
        self.assertEqual((await self.closed_by(*['{"type": "x"}'] * (channel.MAX_MESSAGES + 1)))[0], 1002)

    async def test_too_long(self) -> None:
        self.assertEqual((await self.closed_by('"' + "x" * 5000 + '"'))[0], 1009)

    async def test_others_send_no_text(self) -> None:
        """Without the subprotocol, or without consoleauth, a text message ends the session."""
        for more, people in ((OFFER, None), ("Sec-WebSocket-Protocol: binary\r\n", FakePeople()), ("", FakePeople())):
            self.novnc(people=people)
            self.viewer = await self.websocket(more=more)
            await introduce(self.viewer)
            await self.live()
            self.send({"type": "take"})
            self.assertEqual((await self.viewer.until_closed())[0], 1003)
            await self.all_over()

    async def test_text_before_the_session_is_live(self) -> None:
        self.novnc(people=FakePeople())
        self.viewer = await self.websocket(more=OFFER)
        self.send({"type": "take"})
        self.assertEqual((await self.viewer.until_closed())[0], 1002)


class Shown(ChannelCase):
    async def test_who_is_there(self) -> None:
        await self.page()
        own = Person(id=self.own_id, name="alice", hosts=(), has_page=True)
        guest = Person(id="g", mode="view", guest=True, hosts=(self.own_id,), name="alice")
        self.assertFalse(self.show(own, guest, more=3))
        people = await self.message()
        self.assertEqual((people["type"], people["you"], people["more"]), ("people", self.own_id, 3))
        self.assertEqual(
            [(one["id"], one["yours"], one["page"]) for one in people["people"]],
            [(self.own_id, False, True), ("g", True, False)],
        )

    async def test_what_is_older_is_ignored(self) -> None:
        await self.page()
        self.show(Person(id=self.own_id, mode="view"), at=2.0)
        self.show(Person(id=self.own_id, mode="control"), at=1.0)
        self.show(Person(id="somebody else"), at=3.0)
        self.assertEqual(self.session().info.mode, "view")

    async def test_hidden_administrators(self) -> None:
        for administrator, seen in ((False, 1), (True, 2)):
            await self.page(administrator=administrator)
            self.show(Person(id=self.own_id), Person(id="a", mode="view", administrator=True, hidden=True))
            self.assertEqual(len((await self.message())["people"]), seen)
            self.session().end(ServiceUnavailable())
            self.viewer.raw.transport.loseConnection()  # otherwise, the proxy waits two seconds for it
            await self.all_over()

    async def test_somebody_asks(self) -> None:
        await self.page()
        self.assertTrue(self.show(Person(id=self.own_id), Person(id="b", mode="view"), asked="b"))
        self.assertEqual(
            [(await self.message())["type"], await self.message()], ["people", {"type": "asked", "id": "b"}]
        )
        self.assertFalse(self.show(Person(id=self.own_id), asked=self.own_id))
        self.assertFalse(self.show(Person(id=self.own_id, mode="view"), asked="b"))
