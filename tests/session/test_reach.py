"""A console that is not at the address of its token: the address is looked up once more, and dialled once."""

from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted import errors
from novnc_twisted.contract import ConnectInfo
from tests.session.harness import TOKEN, FrontCase, introduce, refused
from tests.support.vnc_server import FakeVNCServer

MINE, OTHER = b"QEMU (instance-1)", b"QEMU (instance-2)"


class ReachTests(FrontCase):
    def setUp(self) -> None:
        super().setUp()
        self.info = {"instance_name": "instance-1", "current": False}
        self.other = FakeVNCServer(name=MINE)
        self.other_port = self.listen(self.other)
        self.questions: list[tuple[str, str]] = []
        self.found: dict[str, Any] | None = {"port": self.other_port, "current": True}

    async def find_again(self, token: str, address: str, info: ConnectInfo) -> ConnectInfo | None:
        self.questions.append((token, address))
        if self.found is None:
            return None
        self.info = {**self.info, **self.found}
        return await self.authorise(TOKEN, info.console_type, address)

    def start(self, **settings: Any) -> None:
        self.novnc(find_again=self.find_again, settings=self.settings(**settings))

    async def opens(self, *, questions: int, connections: tuple[int, int]) -> None:
        """Check that the viewer is served, and count the look-ups and the connections to each server."""
        self.start()
        self.assertEqual((await introduce(await self.websocket()))[2], "myserver20")
        self.assertEqual(self.questions, [(TOKEN, "127.0.0.1")] * questions)
        self.assertEqual((len(self.server.connections), len(self.other.connections)), connections)

    async def refusal(self, cause: type[errors.Refusal], find_again: Any = None) -> dict[str, Any]:
        self.novnc(find_again=find_again or self.find_again)
        viewer = await self.websocket()
        self.assertEqual(await refused(viewer), cause.sentence)
        self.assertEqual((await viewer.until_closed())[0], cause.close_code)
        record = await self.ended()
        self.assertEqual((self.server.open, self.other.open), (0, 0))
        return record

    async def test_the_right_one(self) -> None:
        self.server.name = MINE
        await self.opens(questions=0, connections=(1, 0))

    async def test_nobody_listens(self) -> None:
        self.info["port"] = 1
        await self.opens(questions=1, connections=(0, 1))

    async def test_another_vm_is_there(self) -> None:
        self.server.name = OTHER
        await self.opens(questions=1, connections=(1, 1))
        await self.server.connections[0].gone

    async def test_a_server_that_hangs_up_at_once(self) -> None:
        self.server.close = "version"
        await self.opens(questions=1, connections=(1, 1))

    async def test_a_server_that_hangs_up_after_the_log_in(self) -> None:
        self.server.close = "init"
        await self.opens(questions=1, connections=(1, 1))

    async def test_a_server_that_wants_a_password(self) -> None:
        self.server.security_types = (2,)
        await self.opens(questions=1, connections=(1, 1))

    async def test_a_screen_that_does_not_say_whose_it_is(self) -> None:
        """If its address is still the same, the connection is kept."""
        self.found = {"current": True}
        await self.opens(questions=1, connections=(1, 0))

    async def test_a_screen_of_another_place_that_does_not_say_whose_it_is(self) -> None:
        self.other.name = b"whatever"
        await self.opens(questions=1, connections=(1, 1))
        await self.server.connections[0].gone

    async def test_a_place_of_now_is_not_asked_for_again(self) -> None:
        self.info["current"] = True
        await self.opens(questions=0, connections=(1, 0))

    async def test_nobody_can_be_asked(self) -> None:
        self.found = None
        await self.opens(questions=1, connections=(1, 0))

    async def test_nobody_can_be_asked_about_another_vm(self) -> None:
        self.found, self.server.name = None, OTHER
        record = await self.refusal(errors.ConsoleUnreachable)
        self.assertIn("instance-2", record["detail"])

    async def test_the_same_place_is_not_dialled_again(self) -> None:
        self.server.name = OTHER
        self.found = {"current": True}
        record = await self.refusal(errors.ConsoleUnreachable)
        self.assertIn("instance-2", record["detail"])
        self.assertEqual(len(self.server.connections), 1)

    async def test_another_vm_at_both_places(self) -> None:
        self.server.name = self.other.name = OTHER
        await self.refusal(errors.ConsoleUnreachable)
        self.assertEqual(len(self.questions), 1)

    async def test_nobody_at_both_places(self) -> None:
        self.info["port"], self.found = 1, {"port": 2}
        record = await self.refusal(errors.ConsoleUnreachable)
        self.assertIn("127.0.0.1:2", record["detail"])

    async def test_the_question_is_refused(self) -> None:
        async def refuse(*_: Any) -> ConnectInfo:
            raise errors.InstanceNotRunning("it was stopped")

        self.server.name = OTHER
        await self.refusal(errors.InstanceNotRunning, refuse)

    async def test_no_answer_to_the_question(self) -> None:
        async def never(*_: Any) -> ConnectInfo:
            return await Deferred()

        self.novnc(find_again=never, settings=self.settings(token_deadline=0.1))
        viewer = await self.websocket()
        self.assertEqual(await refused(viewer), errors.ServiceUnavailable.sentence)

    async def asked_for_ever(self) -> tuple[Any, Deferred[None]]:
        """Return a viewer whose console is being looked up, and a Deferred that ends the look-up without a result."""
        asked: Deferred[None] = Deferred()
        over: Deferred[None] = Deferred()

        async def wait(*_: Any) -> ConnectInfo | None:
            asked.callback(None)
            await over
            return None

        self.novnc(find_again=wait)
        viewer = await self.websocket()
        await asked
        return viewer, over

    async def test_the_viewer_leaves_while_the_place_is_asked_for(self) -> None:
        viewer, _ = await self.asked_for_ever()
        viewer.raw.transport.abortConnection()
        self.assertEqual((await self.ended())["cause"], "ClientLeft")
        await self.server.connections[0].gone

    async def test_the_vnc_server_leaves_while_the_place_is_asked_for(self) -> None:
        """Then even a look-up without a result does not keep the connection."""
        viewer, over = await self.asked_for_ever()
        self.server.connections[0].transport.abortConnection()
        (session,) = self.front.registry
        await session.ends[0].closed()  # the proxy has noticed
        over.callback(None)
        self.assertEqual(await refused(viewer), errors.ConsoleUnreachable.sentence)
