"""Thousands of random sessions through both proxies and both engines leave nothing behind.

``HOSTILE_SESSIONS`` is their number (at least ten thousand for a long run).  ``HOSTILE_SEED`` selects them (0: a new
seed each time); the test prints the seed.
"""

import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python import log
from twisted.trial.unittest import TestCase

from novnc_twisted import errors
from novnc_twisted.access.connection_limits import ConnectionLimits
from novnc_twisted.access.failures import Failures
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.events import Event, RequestRefused, SessionClosed
from novnc_twisted.events.log import log_session
from novnc_twisted.frontend.listener import Listener
from novnc_twisted.novncproxy import NoVNCProxyFactory
from novnc_twisted.relay import stream_end
from novnc_twisted.relay.detached.engine import engine_of
from novnc_twisted.session import SessionLimits, SessionSettings, UpstreamTLS
from novnc_twisted.xvpvncproxy import XVPVNCProxyFactory
from tests.frontend.tls_case import client_tls
from tests.hostile.crowd import MARK, Plan, plan
from tests.hostile.slots import HOST, Slot
from tests.session.upstream_tls_case import served
from tests.support.ledger import Ledger
from tests.support.pki import CA
from tests.support.script import Close, Send
from tests.support.scripted import Peer, meet

SESSIONS = int(os.environ.get("HOSTILE_SESSIONS", "2500"))
SEED = int(os.environ.get("HOSTILE_SEED", "2026")) or int(time.time())
AT_A_TIME = 30
ROUNDS = 4
TIMEOUT = 0.5
"""Seconds after which the test closes a viewer that still plays its script, to keep the test short."""

ADDRESSES = 40
REMEMBERED = 20
"""Client addresses of all sessions, and how many of them the table of failures may remember."""

GROWTH = 8 << 20
"""Bytes by which memory may grow in the second half; the allocator needs some."""

join_module: Any = sys.modules["novnc_twisted.relay.join"]


class ManySessions(TestCase):
    timeout = 300 + SESSIONS / 25

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())  # short: a socket's path has at most 107 bytes
        self.addCleanup(shutil.rmtree, self.folder)
        ca = CA()
        self.client_tls = client_tls(ca)
        self.credential = ca.issue("localhost", "127.0.0.1")
        self.plans: dict[str, tuple[Plan, Slot]] = {}
        self.begun = 0
        self.records: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.patch(stream_end, "CLOSE_GRACE", 0.2)
        self.engines: Counter[str] = Counter()
        self.choose_engines()
        self.fronts(UpstreamTLS(ca_certs=ca.pem))
        self.slots = [self.slot(number) for number in range(AT_A_TIME)]
        # A worker of trial -j sends each log line to its parent, and keeps the line until the parent answers.
        for observer in list(log.theLogPublisher.observers):
            log.removeObserver(observer)
            self.addCleanup(log.addObserver, observer)
        globalLogPublisher.addObserver(self.logged)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged)

    def fronts(self, upstream_tls: UpstreamTLS) -> None:
        """Start both proxies, the noVNC proxy with TLS as well."""
        settings = SessionSettings(
            host=HOST,
            auth_schemes=("none", "vnc", "vencrypt"),
            upstream_tls=upstream_tls,
            socket_directories=(str(self.folder),),
            max_sessions_per_server=0,
            idle_timeout=1,
            **dict.fromkeys(("head_deadline", "token_deadline", "dial_deadline", "rfb_deadline"), 0.8),
            **dict.fromkeys(("tls_deadline", "setup_deadline"), 1.5),
            refusal_deadline=0.2,
        )
        self.limits = SessionLimits(10 * AT_A_TIME, 0)
        self.failures = Failures(1 << 30, reactor.seconds, REMEMBERED)
        self.connections = ConnectionLimits(10 * AT_A_TIME)
        self.refusals: Counter[str] = Counter()
        more: dict[str, Any] = {
            "connection_limits": self.connections,
            "observer": self.observe,
            "settings": settings,
            "limits": self.limits,
            "failures": self.failures,
            "ask_password": self.password,
            "keep_token": self.keep,
        }
        self.ports: dict[tuple[str, bool], int] = {}
        self.all_fronts: list[Any] = []
        for kind in (NoVNCProxyFactory, XVPVNCProxyFactory):
            front = kind(reactor, self.authorise, **more)
            self.all_fronts.append(front)
            begin = front.registry.begin

            def counted(viewer: Any, accepted_at: float, begin: Any = begin) -> None:
                self.begun += 1
                begin(viewer, accepted_at)

            self.patch(front.registry, "begin", counted)
            name = "novnc" if kind is NoVNCProxyFactory else "xvp"
            self.ports[name, False] = self.listen(front)
            listener = Listener(reactor, front, tls=served(self.credential), tls_only=True)
            self.ports[name, True] = self.listen(listener)
            self.addCleanup(listener.stop)

    def listen(self, factory: Any) -> int:
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return port.getHost().port

    def slot(self, number: int) -> Slot:
        slot = Slot(self.folder, number, served(self.credential))
        for port in slot.ports:
            self.addCleanup(port.stopListening)
        return slot

    def choose_engines(self) -> None:
        """Let the plan choose the relay's engine, where the sockets allow both."""
        original = join_module.detached_join

        def detached_join(client: Any, *more: Any) -> Any:
            token = self.by_peer.get(client.peer)  # missing if the proxy was faster than meet()
            wanted = token is None or self.plans[token][0].detached
            joined = original(client, *more) if wanted else None
            self.engines["transports" if joined is None else "detached"] += 1
            return joined

        self.by_peer: dict[str, str] = {}
        self.patch(join_module, "detached_join", detached_join)

    # What the proxies call

    async def authorise(self, token: str, console_type: str, address: str) -> ConnectInfo:
        if token not in self.plans:
            raise errors.InvalidToken("unknown")
        planned, slot = self.plans[token]
        if planned.answer == "never":
            return await Deferred()
        if planned.answer != "good":
            raise errors.TABLE.get(planned.answer, errors.InvalidToken)("planned")
        return slot.info()

    async def password(self, *_: str) -> str:
        return MARK

    async def keep(self, *_: str) -> None: ...

    def logged(self, event: dict[str, Any]) -> None:
        if MARK in str(event):
            self.wrong.append(f"a secret was logged: {event}")
        if "log_failure" in event or event.get("log_level") in (LogLevel.error, LogLevel.critical):
            self.wrong.append(f"logged as a mistake: {event}")

    # One session

    async def session(self, number: int) -> None:
        planned = plan(SEED, number)
        slot = self.slots.pop()
        slot.take(planned)
        self.plans[planned.token] = planned, slot
        port = self.ports[planned.by.name, planned.tls]
        bind = f"127.0.0.{1 + number % ADDRESSES}"
        client = await meet(port, planned.client, tls=self.client_tls if planned.tls else None, bind=bind)
        here = client.transport.getHost()
        peer = f"{here.host}:{here.port}"
        self.by_peer[peer] = planned.token
        await self.left(client, planned)
        # A late connection of the slot's previous session has received no data.
        if planned.answer != "good" and any(peer.received for peer in slot.peers):
            self.wrong.append(f"session {number}: the VNC server received something without a good token")
        if not await slot.over():
            self.wrong.append(f"session {number}: the connection to the VNC server was left open")
        del self.plans[planned.token], self.by_peer[peer]
        self.slots.append(slot)

    async def left(self, client: Peer, planned: Plan) -> None:
        """Wait until the viewer is gone: by its script, by the proxy, or because the test closes it after a while."""
        if not planned.patient:
            waiting = reactor.callLater(TIMEOUT, client.leave)
            client.acted.addCallback(lambda _: waiting.active() and waiting.reset(min(TIMEOUT, 0.005)))
            await client.gone
            if waiting.active():
                waiting.cancel()
        else:
            await client.gone

    async def round(self, numbers: range) -> Ledger:
        """Run some sessions until all of them are over."""
        semaphore = DeferredSemaphore(AT_A_TIME)
        await gatherResults(
            [semaphore.run(lambda number: Deferred.fromCoroutine(self.session(number)), number) for number in numbers],
            consumeErrors=True,
        )
        for (_, tls), port in self.ports.items():  # a port accepts in order: this one is the last
            last = await meet(port, (Send(b"none"), Close()), tls=self.client_tls if tls else None)
            await last.gone
        for front in self.all_fronts:
            await front.registry.none_left()
            for connection in list(front.connections):
                gone: Deferred[None] = Deferred()
                connection.gone.chainDeferred(gone)
                await gone
        return Ledger.now()

    async def test_nothing_is_left(self) -> None:
        print(f"\n  HOSTILE_SEED={SEED} HOSTILE_SESSIONS={SESSIONS}", end=" ")
        engine_of(reactor)  # opens a descriptor that stays; on a busy machine, the first sessions may not need it
        await self.round(range(-AT_A_TIME, 0))  # the first sessions create objects that stay
        before = Ledger.now()
        size = SESSIONS // ROUNDS
        ledgers = [await self.round(range(at * size, (at + 1) * size)) for at in range(ROUNDS)]
        self.assertEqual(self.wrong[:5], [])
        self.assertEqual([ledger.left_since(before) for ledger in ledgers], [{}] * ROUNDS)
        self.assertEqual((len(self.limits), len(self.connections)), (0, 0))
        self.assertEqual(self.records.total(), self.begun, "each session left one record")
        self.assertGreater(self.refusals["BadRequest"], 0, "damaged heads are reported")
        self.assertLessEqual(len(self.failures), REMEMBERED)
        # How many sessions become live depends on how busy the machine is.
        for engine in "detached", "transports":
            self.assertGreater(self.engines[engine], 0)
        self.plateau(ledgers[ROUNDS // 2 - 1], ledgers[-1])
        lived, begun = self.engines.total(), self.begun
        print(f"({begun} sessions begun, {lived} lived, {len(self.records)} kinds of ends)", end=" ")

    def observe(self, event: Event) -> None:
        if isinstance(event, RequestRefused):
            self.refusals[event.cause] += 1
        elif isinstance(event, SessionClosed):
            self.records[event.cause] += 1
            log_session(event)

    def plateau(self, half: Ledger, end: Ledger) -> None:
        """Assert that the second half of the sessions added nothing.

        A leak of one small object for each session would add SESSIONS / 2 objects.  Other tests of this process leave
        caches that may add some hundred objects.
        """
        self.assertLess(end.everything - half.everything, SESSIONS // 4)
        self.assertLess(end.resident - half.resident, GROWTH)
