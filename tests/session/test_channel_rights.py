"""What a viewer may do while control is handed over, and while consoleauth does not answer."""

from novnc_twisted.contract import Person
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.rfb import Shield, ViewOnly
from novnc_twisted.rfb.view_only import FixedSize
from novnc_twisted.session import channel
from novnc_twisted.session.people import PeopleList
from tests.session.harness import TOKEN, introduce
from tests.session.test_channel import OFFER, RESIZE, ChannelCase, FakePeople
from tests.session.test_view_only import KEY


class Rights(ChannelCase):
    async def test_handed_over(self) -> None:
        """The VNC server receives keys only while the viewer has control."""
        viewer, server = await self.page(mode="view")
        self.assertEqual(await self.until_update(viewer, server, KEY), b"")
        self.show(Person(id=self.own_id, mode="control"), at=1.0)
        described = self.session().describe()
        self.assertEqual((described.mode, described.right, described.has_page), ("control", "view", True))
        self.assertIsNotNone(described.control_since)
        self.assertEqual(await self.until_update(viewer, server, KEY), KEY)
        self.show(Person(id=self.own_id, mode="view"), at=2.0)
        self.assertEqual(await self.until_update(viewer, server, KEY), b"")
        self.assertIsNone(self.session().describe().control_since)

    async def test_a_lease_does_not_bring_back_what_was_handed_over(self) -> None:
        """Each renewal of the lease reports the mode of the link again, which must not undo a hand-over."""
        viewer, server = await self.page()
        self.show(Person(id=self.own_id, mode="view"), at=1.0)
        self.session().change_mode("control")
        self.assertEqual(await self.until_update(viewer, server, KEY), b"")
        # But an operator can give control, and end control that was handed over.
        self.session().change_mode("view")
        self.session().change_mode("control")
        self.assertEqual(await self.until_update(viewer, server, KEY), KEY)
        self.session().change_mode("view")
        self.show(Person(id=self.own_id, mode="control"), at=2.0)
        self.session().change_mode("view")
        self.assertEqual(await self.until_update(viewer, server, KEY), b"")

    async def test_the_page_is_notified_of_each_change_once(self) -> None:
        """Also if only the right of the token changes."""
        await self.page()
        sent: list[tuple[str, str]] = []
        session = self.session()
        self.patch(channel.Channel, "tell_rights", lambda _: sent.append((session.info.mode, session.right)))
        session.change_mode("view")
        session.change_mode("view")
        self.assertEqual(sent, [("view", "view")])
        self.show(Person(id=self.own_id, mode="control"), at=1.0)
        session.change_mode("control")
        session.change_mode("control")
        self.assertEqual(sent[1:], [("control", "view"), ("control", "control")])
        session.change_mode("view")
        self.assertEqual(sent[3:], [("view", "view")])

    async def test_without_consoleauth_it_ends(self) -> None:
        """Control that was handed over ends if consoleauth does not confirm it any more."""
        await self.page(mode="view")
        self.show(Person(id=self.own_id, mode="control"))
        self.session()._channel.renew()
        self.assertEqual(self.session().info.mode, "control")
        self.assertEqual(await self.people.asked.get(), ("attend", TOKEN))
        self.patch(channel, "LEASE", -1.0)
        self.session()._channel.renew()
        self.assertEqual(self.session().info.mode, "view")

    async def test_consoleauth_does_not_answer(self) -> None:
        """The request is repeated after growing pauses, even without other viewers."""
        await self.page()
        page = self.session()._channel
        self.people.attending = ServiceUnavailable()
        for seconds in (5.0, 10.0, 20.0, 30.0, 30.0):
            await page._attend()
            self.assertEqual(page._retry_in, seconds)
            self.assertEqual(await self.people.asked.get(), ("attend", TOKEN))
        page.renew()
        self.assertEqual(await self.people.asked.get(), ("attend", TOKEN))
        self.people.attending = None
        page.renew()
        self.assertEqual(await self.people.asked.get(), ("attend", TOKEN))
        page.renew()
        self.assertEqual(self.people.asked.pending, [])

    async def test_resizing(self) -> None:
        viewer, server = await self.page()
        self.assertEqual(await self.until_update(viewer, server, RESIZE), RESIZE)
        self.show(Person(id=self.own_id, resizes=False), at=1.0)
        self.assertEqual(await self.until_update(viewer, server, RESIZE[:5], RESIZE[5:], KEY), KEY)
        self.assertEqual([type(each) for each in self.session().relay.filters], [Shield, FixedSize])
        self.show(Person(id=self.own_id, mode="view", resizes=False), at=2.0)
        self.assertEqual(await self.until_update(viewer, server, KEY, RESIZE), b"")
        self.assertEqual([type(each) for each in self.session().relay.filters], [Shield, ViewOnly])
        self.show(Person(id=self.own_id, resizes=True), at=3.0)
        self.assertEqual(await self.until_update(viewer, server, RESIZE), RESIZE)

    async def test_resizing_without_a_shield(self) -> None:
        """No filter knows where a message ends, so the viewer may still resize the screen."""
        self.people = FakePeople()
        self.novnc(people=self.people, settings=self.settings(shield=False))
        self.viewer = await self.websocket(more=OFFER)
        await introduce(self.viewer)
        server = await self.live()
        self.show(Person(id=self.own_id, resizes=False))
        self.assertEqual(await self.until_update(self.viewer, server, RESIZE), RESIZE)

    async def test_a_viewer_without_a_page(self) -> None:
        """Control is never handed over to it."""
        self.info = {"mode": "view"}
        self.novnc(people=FakePeople())
        viewer, server = await self.begin()
        session = self.session()
        self.assertFalse(session.show_people(PeopleList(at=1.0, people=[Person(id=session.id)], asked="x")))
        self.assertEqual(await self.until_update(viewer, server, KEY), b"")
        self.assertEqual(len(self.front.registry.find(SessionFilter())), 1)

    async def test_a_viewer_without_a_page_ignores_an_older_list(self) -> None:
        self.novnc(people=FakePeople())
        viewer, server = await self.begin()
        session = self.session()
        for at, resizes in ((2.0, False), (1.0, True)):
            session.show_people(PeopleList(at=at, people=[Person(id=session.id, resizes=resizes)]))
        self.assertEqual(await self.until_update(viewer, server, RESIZE), b"")
