"""Tracebacks of internal errors contain no tokens or passwords from variables of the failing code."""

from base64 import b64encode
from pathlib import Path
from typing import Any
from uuid import uuid4

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.identity import HTTPBasic
from novnc_twisted.rfb.security import vnc
from tests.api.harness import FakeHost, FakeReactor, instance, quick_hash, running
from tests.consoleauth.harness import TOKEN as ASKED
from tests.consoleauth.harness import VIEWER, VM, ConsoleAuthCase
from tests.session.harness import TOKEN, FrontCase, refused
from tests.support.handed_out import secret
from tests.support.logged import Logged
from tests.support.vnc_server import FakeVNCServer

PASSWORD = secret(uuid4().hex[:8])


class Fault(Exception):
    """An internal error."""


def fault(*_: Any, **__: Any) -> Any:
    raise Fault("internal")


class SessionTests(FrontCase):
    def assert_logged(self, logged: Logged) -> None:
        """Assert that the log has a traceback, but neither the token nor the password."""
        text = "\n".join(logged.lines())
        self.assertIn("tests.advisories.test_tracebacks.Fault: internal", text)
        for hidden in (TOKEN, PASSWORD):
            self.assertNotIn(hidden, text)
            self.assertNotIn(hidden, self.log_text())
        self.assertGreaterEqual(len(self.flushLoggedErrors(Fault)), 1)

    async def test_while_the_token_is_looked_up(self) -> None:
        logged = Logged(self)

        async def authorise(token: str, console_type: str, address: str) -> Any:
            held = {"token": token}
            return fault(held)

        self.novnc(authorise)
        viewer = await self.websocket()
        await refused(viewer)
        await viewer.until_closed()
        self.assert_logged(logged)

    async def test_while_it_logs_in(self) -> None:
        logged = Logged(self)

        async def ask_password(*_: str) -> str:
            return PASSWORD

        self.patch(vnc, "response", fault)
        self.server = FakeVNCServer(password=PASSWORD)
        self.port = self.listen(self.server)
        self.novnc(ask_password=ask_password)
        viewer = await self.websocket()
        await refused(viewer)
        await viewer.until_closed()
        self.assert_logged(logged)


class BusTests(ConsoleAuthCase):
    async def test_while_consoleauth_has_it(self) -> None:
        """consoleauth fails when it has received the VNC password from the compute host."""
        logged = Logged(self)
        await self.serve()
        host = await self.host()
        host.run()
        host.passwords[VM] = PASSWORD
        await self.token()
        call = self.transport.call

        def broken(topic: str, method: str, **more: Any) -> Any:
            answer = call(topic, method, **more)
            return answer.addCallback(fault) if topic == "compute.one" and method == "get_vnc_password" else answer

        self.patch(self.transport, "call", broken)
        with self.assertRaises(Exception) as caught:
            await self.api.get_vnc_password(ASKED, "novnc", VIEWER)
        text = "\n".join([*logged.lines(), str(caught.exception), repr(caught.exception)])
        self.assertIn("Fault: internal", text)
        for hidden in (ASKED, PASSWORD):
            self.assertNotIn(hidden, text)
        self.assertEqual(len(self.flushLoggedErrors(Fault)), 1)


class APITests(SynchronousTestCase):
    def test_while_it_knows_the_users_password(self) -> None:
        users = Path(self.mktemp())
        users.write_text(f"root:{quick_hash(PASSWORD)}\n")
        basic = b64encode(f"root:{PASSWORD}".encode()).decode()
        login = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "root"}}}}}
        login["auth"]["identity"]["password"]["user"]["password"] = PASSWORD  # type: ignore[index]
        logged = Logged(self)
        auth = HTTPBasic(FakeReactor(), users, admin_users=["root"])
        system = running(self, auth, FakeHost("host1", instance("one")))
        self.patch(auth._passwords, "check", fault)
        answers = [
            system.get("/v2.1/servers", Authorization=f"Basic {basic}"),
            system.post("/identity/v3/auth/tokens", login),
        ]
        self.assertEqual([answer.status for answer in answers], [500, 500])
        text = "\n".join([*logged.lines(), *map(repr, answers)])
        self.assertIn("Fault: internal", text)
        for hidden in (PASSWORD, basic):
            self.assertNotIn(hidden, text)
        self.assertEqual(len(self.flushLoggedErrors(Fault)), 2)
