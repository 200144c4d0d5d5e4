"""View-only sessions: by the token, by a change while they live, and by the renewal of a lease."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from novnc_twisted import errors
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.events import SessionChanged, SessionOpened
from novnc_twisted.rfb import Shield, ViewOnly
from novnc_twisted.rfb.clipboard import ClipboardLimits
from tests.rfb.viewer_messages import POINTER, cut_text
from tests.session.harness import introduce
from tests.session.test_shield import CONNECT, KEY, RecordingConnection, ShieldCase

RELEASE = b"\4\0\0\0\0\0\0a"
UPDATE = b"\3" + bytes(9)


class ViewOnlyCase(ShieldCase):
    async def begin(self) -> tuple[Any, RecordingConnection]:
        viewer = await self.websocket()
        await introduce(viewer)
        return viewer, await self.live()

    async def live(self) -> RecordingConnection:
        server: Any = await self.server.live.get()
        server.heard = b""
        return server

    async def until_update(self, viewer: Any, server: RecordingConnection, *sent: bytes) -> bytes:
        """Send these pieces and then UPDATE; return what the server receives before UPDATE."""
        for piece in (*sent, UPDATE):
            viewer.write(piece)
        while (await server.inbox.get())[1] != UPDATE:
            pass
        heard, server.heard = server.heard.removesuffix(UPDATE), b""
        return heard

    def session(self) -> Any:
        (session,) = self.front.registry.find(SessionFilter())
        return session


class FromTheToken(ViewOnlyCase):
    async def test_on_novnc(self) -> None:
        self.info = {"mode": "view"}
        self.novnc()
        viewer, server = await self.begin()
        self.assertEqual(await self.until_update(viewer, server, KEY, POINTER, cut_text(b"secret")), b"")
        self.assertEqual(self.session().describe().mode, "view")
        self.assertEqual([type(each) for each in self.session().relay.filters], [Shield, ViewOnly])

    async def test_on_xvp(self) -> None:
        self.info = {"mode": "view", "console_type": "xvpvnc"}
        self.xvp()
        viewer = await self.raw()
        viewer.write(CONNECT)
        await viewer.until(b"\r\n\r\n")
        await introduce(viewer)
        self.assertEqual(await self.until_update(viewer, await self.live(), KEY, POINTER), b"")

    async def test_without_a_shield(self) -> None:
        """A view-only session has a shield even if the option is off."""
        self.info = {"mode": "view"}
        self.novnc(settings=self.settings(shield=False))
        viewer, server = await self.begin()
        self.assertEqual(await self.until_update(viewer, server, KEY[:3], KEY[3:]), b"")
        self.session().change_mode("control")
        self.assertEqual(await self.until_update(viewer, server, KEY), KEY)


class Changed(ViewOnlyCase):
    async def test_at_once_and_back(self) -> None:
        events: list[Any] = []
        self.novnc(observer=events.append)
        viewer, server = await self.begin()
        self.assertEqual(await self.until_update(viewer, server, KEY), KEY)
        for _ in range(2):
            self.session().change_mode("view")
        self.assertEqual(await self.until_update(viewer, server, KEY, POINTER), b"")
        # The held key is released; otherwise, the server would repeat it without end.
        self.assertEqual(await self.until_update(viewer, server, RELEASE), RELEASE)
        self.assertEqual(self.session().describe().mode, "view")
        self.session().change_mode("control")
        self.assertEqual(await self.until_update(viewer, server, KEY), KEY)
        self.assertEqual([type(each) for each in self.session().relay.filters], [Shield])
        opened, *changes = events
        self.assertEqual((type(opened), opened.mode), (SessionOpened, "control"))
        self.assertEqual(
            [(type(each), each.mode) for each in changes], [(SessionChanged, "view"), (SessionChanged, "control")]
        )
        self.assertEqual({each.session_id for each in events}, {self.session().id})
        self.assertEqual(changes[0].instance_name, "myserver20")

    async def test_within_a_text(self) -> None:
        """A clipboard text that has begun is completed; otherwise, the server would misread what follows."""
        self.novnc()
        viewer, server = await self.begin()
        text = cut_text(b"x" * 1000)
        viewer.write(text[:500])
        while len(server.heard) < 500:
            await deferLater(reactor, 0)
        self.session().change_mode("view")
        self.assertEqual(await self.until_update(viewer, server, text[500:], KEY), text)

    async def test_without_a_shield(self) -> None:
        """The proxy does not know where messages end, so it ends the session; at this code, the page reconnects."""
        await self.without_a_shield()

    async def test_without_a_shield_but_with_a_limit_for_the_clipboard(self) -> None:
        """The clipboard filter does not help: it passes messages on in pieces."""
        await self.without_a_shield(clipboard=ClipboardLimits(to_server=10))

    async def without_a_shield(self, **more: Any) -> None:
        self.novnc(settings=self.settings(shield=False, **more))
        viewer, _ = await self.begin()
        self.session().change_mode("view")
        self.assertEqual(await viewer.until_closed(), (4503, errors.ServiceUnavailable.sentence))
        self.assertIn("shield", (await self.ended())["detail"])


class DuringTheSetUp(ViewOnlyCase):
    async def test_before_the_answer(self) -> None:
        """The answer about the token may be older than the change."""

        async def authorise(*asked: str) -> Any:
            self.session().change_mode("view")
            return await self.authorise(*asked)

        self.novnc(authorise)
        viewer, server = await self.begin()
        self.assertEqual(await self.until_update(viewer, server, KEY), b"")


class Leases(ViewOnlyCase):
    async def test_a_revoked_token_ends_the_session(self) -> None:
        async def keep(token: str, address: str) -> None:
            raise errors.Revoked("by an administrator")

        self.novnc(keep_token=keep)
        viewer, _ = await self.begin()
        self.assertEqual(await viewer.until_closed(), (4410, errors.Revoked.sentence))
        self.assertEqual((await self.ended())["detail"], "by an administrator")

    async def test_the_mode_is_learned(self) -> None:
        async def keep(token: str, address: str) -> str:
            return "view"

        self.novnc(keep_token=keep)
        viewer, server = await self.begin()
        self.assertEqual(await self.until_update(viewer, server, KEY), b"")
