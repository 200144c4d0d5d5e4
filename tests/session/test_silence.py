"""Connections on which the VNC server sends nothing, or which are reset."""

import socket
from typing import Any

from twisted.internet.defer import DeferredQueue
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from novnc_twisted import errors
from novnc_twisted.relay.timer_wheel import RESOLUTION
from novnc_twisted.session.upstream import reach, silence
from novnc_twisted.session.upstream.silence import PROBE, Silence
from novnc_twisted.session.upstream.turns import Turn, Turns
from tests.session.harness import FrontCase, introduce, refused
from tests.support.held_time import HeldTime
from tests.support.vnc_server import FakeVNCServer


class End:
    """The part of an UpstreamEnd that Silence uses, with a real socket."""

    def __init__(self, tcp: socket.socket) -> None:
        self.transport = self
        self.socket = tcp

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def setTcpKeepAlive(self, enabled: bool) -> None: ...

    @property
    def idle(self) -> int:
        return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)


class SilenceTests(TestCase):
    def setUp(self) -> None:
        self.clock, self.turns = Clock(), Turns()
        tcp = socket.socket()
        self.addCleanup(tcp.close)
        self.end: Any = End(tcp)
        self.usual = self.end.idle
        self.silence = Silence(self.clock, self.end, self.turns.take(self.clock, "place"))

    def test_an_answer_in_time(self) -> None:
        self.silence.over()
        self.clock.advance(PROBE + RESOLUTION)
        self.assertEqual((len(self.turns), self.end.idle, self.clock.getDelayedCalls()), (0, self.usual, []))

    def test_no_answer(self) -> None:
        """The server's kernel is probed each second until bytes come; the next connection does not wait for them."""
        self.clock.advance(PROBE + RESOLUTION)
        self.assertEqual((len(self.turns), self.end.idle), (0, 1))
        self.silence.over()
        self.assertEqual((len(self.turns), self.end.idle), (0, 60))


class Dropping(Factory):
    """A VNC server that resets the first connections."""

    noisy = False

    def __init__(self, server: FakeVNCServer, times: int) -> None:
        self.server, self.left = server, times

    def buildProtocol(self, addr: Any) -> Protocol:
        self.left -= 1
        return Reset() if self.left >= 0 else self.server.buildProtocol(addr)


class Reset(Protocol):
    def connectionMade(self) -> None:
        self.transport.abortConnection()


class DroppedTests(FrontCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(reach, "PAUSES", (0.01,) * 3)

    def drop(self, times: int) -> Dropping:
        dropping = Dropping(self.server, times)
        self.info = {"port": self.listen(dropping)}
        self.novnc()
        return dropping

    async def test_it_is_dialled_again(self) -> None:
        self.drop(3)
        await introduce(await self.websocket())

    async def test_not_for_ever(self) -> None:
        dropping = self.drop(100)
        viewer = await self.websocket()
        self.assertEqual(await refused(viewer), errors.ConsoleUnreachable.sentence)
        viewer.raw.transport.loseConnection()  # otherwise, the proxy waits two seconds for it
        self.assertEqual(dropping.left, 96)
        record = await self.ended()
        self.assertIn("closed the connection ConnectionLost", record["detail"])

    async def test_a_server_that_hangs_up_has_decided(self) -> None:
        self.server.close = "version"
        self.novnc()
        await refused(await self.websocket())
        self.assertEqual(len(self.server.connections), 1)


class CrowdTests(FrontCase):
    """Two sessions with the same server."""

    def setUp(self) -> None:
        super().setUp()
        self.taken: DeferredQueue[Turn] = DeferredQueue()
        take = Turns.take

        def noticed(turns: Turns, clock: Any, place: str) -> Turn:
            turn = take(turns, clock, place)
            self.taken.put(turn)
            return turn

        self.patch(Turns, "take", noticed)
        self.patch(silence, "PROBE", 60)  # longer than the test takes on a busy machine
        self.server.stall = "version"

    async def two(self) -> tuple[Any, Any]:
        """Two viewers; the second waits, because the server has sent nothing to the first yet."""
        viewers = await self.websocket(), await self.websocket()
        await self.server.accepted.get()
        self.assertIsNone((await self.taken.get()).begins)
        waits = (await self.taken.get()).begins
        self.assertTrue(waits is not None and not waits.called)
        return viewers

    async def test_the_next_one_waits_for_the_first_bytes(self) -> None:
        self.novnc()
        first, second = await self.two()
        self.server.stall = None
        self.assertEqual(len(self.server.connections), 1)
        first.raw.transport.abortConnection()
        await introduce(second)

    async def test_the_wait_has_the_deadline_of_dialling(self) -> None:
        time = HeldTime()
        self.novnc_on(time, settings=self.settings(rfb_deadline=20))
        first, second = await self.two()
        time.spend(self.settings().dial_deadline)
        self.assertEqual(await refused(second), errors.ConsoleUnreachable.sentence)
        await second.until_closed()
        self.assertEqual(len(self.server.connections), 1)
        first.raw.transport.abortConnection()
        await self.all_over()
        self.assertEqual(len(self.front.registry.services.turns), 0)
