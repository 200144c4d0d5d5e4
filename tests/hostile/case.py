"""Test case for hostile peers: checks what the other side received, the session record, and that nothing is left."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import DeferredSemaphore, gatherResults

from novnc_twisted import errors
from novnc_twisted.relay import stream_end
from novnc_twisted.session import UpstreamTLS
from novnc_twisted.session.upstream import reach
from tests.hostile.clients import Dialect
from tests.hostile.servers import PASSWORD
from tests.session.harness import TOKEN, FrontCase
from tests.session.upstream_tls_case import NAMED, OURS, served
from tests.support.frames import close_of, refusal_of, status_of, stream_of
from tests.support.ledger import Ledger
from tests.support.script import AnswerClose, Close, ReceiveUntil, Script, Send
from tests.support.scripted import Peer, ScriptedServer, meet, one_iteration

AT_A_TIME = 20


def takes_the_refusal(by: Dialect, token: str = TOKEN) -> Script:
    """A viewer that reads the whole refusal."""
    if by.name == "xvp":
        return (*by.open(token), ReceiveUntil(b"\r\n\r\n"), Close())
    return (*by.open(token), by.receive(12), Send(by.message(b"RFB 003.008\n")), AnswerClose())


class HostileCase(FrontCase):
    """A proxy in front of a VNC server that plays a script."""

    timeout = 300

    def setUp(self) -> None:
        super().setUp()
        self.patch(stream_end, "CLOSE_GRACE", 0.3)
        self.patch(reach, "PAUSES", (0.01,) * len(reach.PAUSES))
        self.scripted = ScriptedServer((), tls=served(NAMED))
        self.port = self.listen(self.scripted)
        self._fronts: dict[Any, tuple[Any, int]] = {}

    def behind(self, by: Dialect, authorise: Any = None, **settings: Any) -> None:
        """Use a proxy of this kind with these settings; equal arguments give the same proxy."""
        key = by.name, authorise, *sorted(settings.items())
        if key not in self._fronts:
            settings.setdefault("auth_schemes", ("none", "vnc", "vencrypt"))
            settings.setdefault("max_sessions_per_server", 0)
            settings.setdefault("max_failures_per_minute", 0)
            tls = UpstreamTLS(ca_certs=OURS.pem)
            make = self.novnc if by.name == "novnc" else self.xvp
            make(authorise, settings=self.settings(upstream_tls=tls, **settings), ask_password=self.password)
            self._fronts[key] = self.front, self.front_port
        self.front, self.front_port = self._fronts[key]

    async def password(self, *_: str) -> str:
        return PASSWORD

    async def record(self) -> dict[str, Any] | None:
        """The record of the only session; None if there was no session."""
        await self.all_over()
        for peer in self.scripted.peers:
            await peer.gone
        records = [event for event in self.events if event.get("event") == "session"]
        self.assertLessEqual(len(records), 1)
        self.proper_log()
        self.events.clear()
        return records[0] if records else None

    def proper_log(self) -> None:
        """Assert that the log has no traceback and no secret."""
        self.assertEqual([event for event in self.events if "log_failure" in event or event.get("isError")], [])
        text = self.log_text()
        for secret in TOKEN, PASSWORD:
            self.assertNotIn(secret, text)

    def assert_refused(self, by: Dialect, viewer: Peer, cause: type[errors.Refusal], *, answered: bool = True) -> None:
        """Assert that the viewer received this refusal: by close frame and RFB, or by the status line.

        :param answered: whether the viewer sent its RFB version, so that it received the sentence by RFB as well.
        """
        received = bytes(viewer.received)
        if by.name == "xvp":
            self.assertEqual(received, f"HTTP/1.1 {cause.status} {cause.sentence}\r\n\r\n".encode())
            return
        self.assertEqual(close_of(received), (cause.close_code, cause.sentence))
        if answered:
            self.assertEqual(refusal_of(stream_of(received)), cause.sentence)
        self.assertEqual(status_of(received)[0], 101)

    async def left_nothing(self, before: Ledger) -> None:
        """Assert that the process holds no more resources than before."""
        self.scripted.peers.clear()
        self.events.clear()
        await one_iteration()  # the caller may run inside the last step of the last session
        self.assertEqual(Ledger.now().left_since(before), {})

    async def crowd(self, sessions: list[Callable[[], Any]]) -> None:
        """Run many sessions, ``AT_A_TIME`` of them at once."""
        semaphore = DeferredSemaphore(AT_A_TIME)
        await gatherResults([semaphore.run(session) for session in sessions], consumeErrors=True)
        await self.settled()

    async def settled(self) -> None:
        """Wait until every client is gone.

        Connections are accepted in order: when the last one is gone, all others have been accepted.
        """
        last = await meet(self.front_port, (Send(b"none\n"), Close()))
        await last.gone
        for connection in list(self.front.connections):
            await connection.gone
        await self.all_over()
        for peer in self.scripted.peers:
            await peer.gone
