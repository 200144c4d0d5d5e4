"""Hostile viewers in every phase of a session, at both proxies."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted import errors
from tests.hostile.case import HostileCase
from tests.hostile.clients import FRONTS, NOVNC, XVPVNC, Dialect, introduced
from tests.hostile.servers import GOOD
from tests.session.harness import frame
from tests.support.frames import close_of
from tests.support.ledger import Ledger
from tests.support.script import LEAVES, AnswerClose, Await, Close, Flood, Pause, Receive, ReceiveUntil, Script, Send
from tests.support.scripted import Peer, meet

LOGIN = b"RFB 003.008\n\1\1"
"""What the proxy itself sends to the VNC server; before the session is live, the server receives nothing else."""


PASSED = 1.0
"""Seconds of a deadline that also covers an earlier phase, which must succeed even on a busy machine."""


@dataclass(frozen=True)
class Phase:
    """The phase in which a viewer becomes hostile.

    :ivar steps: how many steps of ``introduced`` precede the phase.
    :ivar late: the refusal of a silent viewer at the deadline, which ``settings`` shortens.
    :ivar hold: what else keeps the session in this phase: ``authorise``, ``dial`` or ``path`` never finishes.
    """

    name: str
    steps: Callable[[Dialect], int]
    late: type[errors.Refusal] | None
    settings: dict[str, float] = field(default_factory=dict)
    server: Script = GOOD
    hold: str = ""


def up_to(words: int) -> Callable[[Dialect], int]:
    """Count the steps up to the server's RFB version and this many RFB messages of the viewer, with their replies."""
    return lambda by: len(by.open()) + len(by.welcome) + 2 * words + 1


def after_the_head(by: Dialect) -> int:
    return len(by.open())


PHASES = {
    "token": Phase("token", after_the_head, errors.ServiceUnavailable, {"token_deadline": 0.05}, hold="authorise"),
    "dial": Phase("dial", after_the_head, errors.ConsoleUnreachable, {"dial_deadline": 0.05}, hold="dial"),
    "access path": Phase(
        "access path", after_the_head, errors.ConsoleUnreachable, {"dial_deadline": PASSED}, (), "path"
    ),
    "login": Phase("login", after_the_head, errors.ConsoleUnreachable, {"rfb_deadline": 0.05}, ()),
    "version": Phase("offer", up_to(0), errors.SetupTimeout, {"rfb_deadline": PASSED}),
    "security type": Phase("offer", up_to(1), errors.SetupTimeout, {"rfb_deadline": PASSED}),
    "client init": Phase("offer", up_to(2), errors.SetupTimeout, {"rfb_deadline": PASSED}),
    "live": Phase("live", up_to(3), errors.IdleTimeout, {"idle_timeout": 0.05}),
}

BROKEN = {  # at the noVNC proxy only: what the viewer sends, and the refusal
    "a close frame": (frame(8, b"\x03\xe8"), errors.ClientLeft),
    "a close frame with a reserved code": (frame(8, (1005).to_bytes(2, "big")), errors.ProtocolViolation),
    "half a close code": (frame(8, b"\x03"), errors.ProtocolViolation),
    "text": (frame(1, b"text"), errors.TextRefused),
    "an unmasked frame": (b"\x82\x01x", errors.ProtocolViolation),
    "reserved bits": (b"\xf2\x80\0\0\0\0", errors.ProtocolViolation),
    "a reserved opcode": (b"\x8b\x80\0\0\0\0", errors.ProtocolViolation),
    "a continuation of nothing": (b"\x80\x81\0\0\0\0x", errors.ProtocolViolation),
    "a ping in pieces": (b"\x09\x80\0\0\0\0", errors.ProtocolViolation),
    "a length that is not the shortest": (b"\x82\xfe\0\1\0\0\0\0x", errors.ProtocolViolation),
    "a length of 2**63": (b"\x82\xff" + b"\xff" * 12, errors.ProtocolViolation),
    "a length of 2**40": (b"\x82\xff" + (1 << 40).to_bytes(8, "big") + bytes(4), errors.MessageTooBig),
}


class Clients(HostileCase):
    """The session ends, and the VNC server receives nothing from the viewer.

    A noVNC viewer receives the reason.  A viewer of the XVP proxy receives it only before RFB begins.
    """

    async def never(self, *_: Any) -> Any:
        """A call that never finishes."""
        self.reached.callback(None)
        return await Deferred()

    def held(self, by: Dialect, phase: Phase, *, late: bool = False) -> None:
        """Use a proxy in which a session stays in this phase."""
        settings = phase.settings if late else {}
        self.behind(by, self._never if phase.hold == "authorise" else None, refusal_deadline=0.03, **settings)

    def setUp(self) -> None:
        super().setUp()
        self._never = self.never  # a bound method is a new object at each access; behind() compares it
        self.reached: Deferred[None] = Deferred()

    async def act(
        self, by: Dialect, phase: Phase, act: Script, cause: type[errors.Refusal], *, late: bool = False
    ) -> Peer:
        """Play a viewer that is good up to this phase.

        :param late: whether only the deadline ends the session.
        """
        self.info = {"internal_access_path": "/console"} if phase.hold == "path" else {}
        if phase.hold == "dial":
            self.patch(sys.modules["novnc_twisted.session.upstream.reach"], "dial", self._never)
        self.held(by, phase, late=late)
        self.scripted.script = phase.server
        self.reached = self.scripted.reached = Deferred()
        good = introduced(by)[: phase.steps(by)]
        there = (*good, Await("reached"), Pause(3))
        viewer = await meet(self.front_port, (*there, *act), {"reached": self.reached})
        await viewer.gone
        received = [bytes(peer.received) for peer in self.scripted.peers]
        record: Any = await self.record()
        self.assertEqual((record["cause"], record["phase"]), (cause.__name__, phase.name))
        if phase.hold in ("authorise", "dial"):
            self.assertEqual(received, [])
        elif phase.hold != "path":
            for words in received:
                self.assertTrue(LOGIN.startswith(words), words)
        self.scripted.peers.clear()
        return viewer

    async def phase(self, by: Dialect, title: str) -> None:
        """Try everything that a hostile viewer can do in one phase."""
        phase = PHASES[title]
        await self.act(by, phase, LEAVES["close"], errors.ClientLeft)
        self.held(by, phase, late=True)
        before = Ledger.now()
        for leave in LEAVES.values():
            await self.act(by, phase, leave, errors.ClientLeft)
        tail: Script = (AnswerClose(), Close()) if by.name == "novnc" else ()
        if phase.late is not None:
            viewer = await self.act(by, phase, tail, phase.late, late=True)
            self.assert_reason_sent(by, viewer, phase, phase.late)
        if phase.name in ("token", "dial", "access path", "login"):
            viewer = await self.act(by, phase, (Flood(by.message(bytes(20000))),), errors.MessageTooBig)
        if by.name == "novnc":
            for title, (words, cause) in BROKEN.items():
                viewer = await self.act(by, phase, (Send(words), *tail), cause)
                expected = (1000, "") if cause is errors.ClientLeft else (cause.close_code, cause.sentence)
                self.assertEqual(close_of(bytes(viewer.received)), expected, title)
        await self.left_nothing(before)

    def assert_reason_sent(self, by: Dialect, viewer: Peer, phase: Phase, cause: type[errors.Refusal]) -> None:
        if by.name == "novnc":
            self.assertEqual(close_of(bytes(viewer.received)), (cause.close_code, cause.sentence))
        elif phase.name not in ("offer", "live"):
            self.assert_refused(by, viewer, cause)
        else:
            self.assertNotIn(cause.sentence.encode(), bytes(viewer.received))

    async def test_novnc_token(self) -> None:
        await self.phase(NOVNC, "token")

    async def test_novnc_dial(self) -> None:
        await self.phase(NOVNC, "dial")

    async def test_novnc_access_path(self) -> None:
        await self.phase(NOVNC, "access path")

    async def test_novnc_login(self) -> None:
        await self.phase(NOVNC, "login")

    async def test_novnc_version(self) -> None:
        await self.phase(NOVNC, "version")

    async def test_novnc_security_type(self) -> None:
        await self.phase(NOVNC, "security type")

    async def test_novnc_client_init(self) -> None:
        await self.phase(NOVNC, "client init")

    async def test_novnc_live(self) -> None:
        await self.phase(NOVNC, "live")

    async def test_xvp_token(self) -> None:
        await self.phase(XVPVNC, "token")

    async def test_xvp_dial(self) -> None:
        await self.phase(XVPVNC, "dial")

    async def test_xvp_access_path(self) -> None:
        await self.phase(XVPVNC, "access path")

    async def test_xvp_login(self) -> None:
        await self.phase(XVPVNC, "login")

    async def test_xvp_version(self) -> None:
        await self.phase(XVPVNC, "version")

    async def test_xvp_security_type(self) -> None:
        await self.phase(XVPVNC, "security type")

    async def test_xvp_client_init(self) -> None:
        await self.phase(XVPVNC, "client init")

    async def test_xvp_live(self) -> None:
        await self.phase(XVPVNC, "live")

    def test_every_phase_has_its_tests(self) -> None:
        wanted = {f"test_{by.name}_{title}".replace(" ", "_") for by in FRONTS for title in PHASES}
        self.assertEqual({name for name in dir(self) if name.startswith(("test_novnc_", "test_xvp_"))}, wanted)


class Offers(HostileCase):
    """Violations of RFB by a viewer; RFB itself carries the refusal."""

    async def test_wrong_words(self) -> None:
        violation = errors.ProtocolViolation
        for by in FRONTS:
            open_ = (*by.open(), *by.welcome, by.receive(12))
            chosen = (*open_, Send(by.message(b"RFB 003.008\n")), by.receive(2))
            for script in (
                *(
                    (*open_, Send(by.message(version)))
                    for version in (b"RFB 003.006\n", b"RFB 004.000\n", bytes(12), b"GET / HTTP/1")
                ),
                *((*chosen, Send(by.message(bytes((number,))))) for number in (0, 2, 16, 19, 255)),
            ):
                self.behind(by)
                self.scripted.script = GOOD
                tail: Script = (
                    (AnswerClose(), Close())
                    if by.name == "novnc"
                    else (ReceiveUntil(violation.sentence.encode()), Close())
                )
                viewer = await meet(self.front_port, (*script, *tail))
                await viewer.gone
                self.assertIn(violation.sentence.encode(), bytes(viewer.received))
                if by.name == "novnc":
                    self.assertEqual(close_of(bytes(viewer.received)), (1002, violation.sentence))
                received = [bytes(peer.received) for peer in self.scripted.peers]
                record: Any = await self.record()
                self.assertEqual((record["cause"], record["phase"]), ("ProtocolViolation", "offer"))
                self.assertEqual(received, [LOGIN])
                self.scripted.peers.clear()

    async def test_a_reason_quotes_nothing(self) -> None:
        """A refusal repeats nothing that the viewer sent."""
        for by in FRONTS:
            self.behind(by)
            self.scripted.script = GOOD
            marked = b"RFB 999.mrk\n"
            viewer = await meet(
                self.front_port, (*by.open(), *by.welcome, by.receive(12), Send(by.message(marked)), Receive(20))
            )
            await viewer.acted
            viewer.leave()
            await viewer.gone
            self.assertNotIn(b"mrk", bytes(viewer.received))
            await self.record()
