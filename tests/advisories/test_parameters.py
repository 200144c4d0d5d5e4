"""Additional, repeated or misplaced parameters never change who is admitted, or for which user a request acts."""

from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ConsoleForbidden, InvalidToken, Refusal
from novnc_twisted.identity import HTTPBasic
from tests.api.harness import FakeHost, FakeReactor, System, instance, quick_hash, running, uuid_of
from tests.consoleauth.harness import OTHER_VM, TOKEN, VIEWER, VM, ConsoleAuthCase
from tests.session.harness import TOKEN as GOOD
from tests.session.harness import FrontCase, introduce, refused

ADDITIONS = (
    "password=1",
    "authenticated=true",
    "admin=1",
    "auth=none",
    "tfa-challenge=x",
    "instance_uuid=uuid-2",
    "console_type=xvpvnc",
    "host=127.0.0.1&port=1",
    "user_id=root&project_id=",
    "token[]=x",
    "Token=x",
    "token%00=x",
)


class ProxyTests(FrontCase):
    timeout = 300

    async def test_additions_open_nothing(self) -> None:
        """CVE-2023-54391: an additional parameter skipped the password check.  Here, each token is checked."""
        self.novnc(settings=self.settings(max_failures_per_minute=0))
        for addition in (*ADDITIONS, f"token={GOOD}&token=wrong", "token=wrong", ""):
            for path in (f"/?{addition}&token=wrong", f"/websockify?token=wrong&{addition}#token={GOOD}"):
                viewer = await self.websocket(path)
                self.assertEqual(await refused(viewer), InvalidToken.sentence, path)
                await viewer.until_closed()
        self.assertEqual(len(self.server.connections), 0)
        self.assertTrue(all(token != GOOD for token, _, _ in self.asked), self.asked)

    async def test_additions_change_nothing(self) -> None:
        """They do not change a valid token's server: only token, type and address are passed to the authoriser."""
        self.novnc()
        for addition in ADDITIONS:
            viewer = await self.websocket(f"/?{addition}&token={quote(GOOD)}")
            await introduce(viewer)
            viewer.raw.transport.abortConnection()
            await self.all_over()
        self.assertEqual(self.asked, [(GOOD, "novnc", "127.0.0.1")] * len(ADDITIONS))

    async def test_a_token_in_another_place_is_none(self) -> None:
        """A token is not read from the path, headers, or the body."""
        self.novnc()
        for path, more in (
            (f"/{GOOD}", ""),
            (f"/token={GOOD}", ""),
            ("/", f"Authorization: Bearer {GOOD}\r\nX-Auth-Token: {GOOD}\r\n"),
            ("/", f"Cookie: xtoken={GOOD}; token2={GOOD}\r\n"),
            ("/", f"Referer: http://127.0.0.1/?token={GOOD}\r\n"),
        ):
            viewer = await self.websocket(path, more)
            await refused(viewer)
            await viewer.until_closed()
        self.assertEqual((self.asked, self.server.connections), ([], []))


class APITests(SynchronousTestCase):
    def setUp(self) -> None:
        self.users = Path(self.mktemp())
        self.users.write_text(f"alice:{quick_hash('r3d')}:red\nroot:{quick_hash('toor')}\n")
        self.system = self.fresh()

    def fresh(self) -> System:
        """Return a new API, in which no user is locked out."""
        host = FakeHost("host1", instance("red", project_id="red"), instance("blue", project_id="blue"))
        return running(self, HTTPBasic(FakeReactor(), self.users, admin_users=["root"]), host)

    def test_additions_at_the_log_in(self) -> None:
        """CVE-2023-54391: additional members at any level of the JSON do not replace the correct password."""
        more: dict[str, Any] = {"tfa-challenge": "x", "admin": True, "password": None, "token": {"id": "x"}, "trust": 1}
        for place in ("auth", "identity", "password", "user"):
            for password in ("wrong", "", None, True, [], {"r3d": 1}, 0):
                user: dict[str, Any] = {"name": "alice", "password": password, "domain": {"id": "default"}}
                method: dict[str, Any] = {"user": user}
                identity: dict[str, Any] = {"methods": ["password"], "password": method}
                auth: dict[str, Any] = {"identity": identity}
                whole = {"auth": auth, "identity": identity, "password": method, "user": user}
                whole[place].update({name: value for name, value in more.items() if name not in whole[place]})
                answer = self.fresh().post("/identity/v3/auth/tokens?auth=none&admin=1", {"auth": auth})
                self.assertEqual(answer.status, 401, (place, password))
                self.assertNotIn("x-subject-token", answer.headers)

    def test_other_methods_of_the_identity(self) -> None:
        """With a wrong password, no other method logs in, alone or beside the method ``password``."""
        user = {"name": "root", "password": "wrong", "domain": {"id": "default"}}
        for methods in ([], ["token"], ["password", "token"], ["external"], ["password", "password"], "password", None):
            identity = {"methods": methods, "password": {"user": user}, "token": {"id": "x"}}
            answer = self.fresh().post("/identity/v3/auth/tokens", {"auth": {"identity": identity}})
            self.assertEqual(answer.status, 401, methods)

    def test_the_callers_own_rights(self) -> None:
        """CVE-2026-71566: a token is made for the authenticated caller, whatever a request claims."""
        alice = {"Authorization": "Basic " + b64encode(b"alice:r3d").decode()}
        posing = {"X_User_Id": "root", "X_Project_Id": "blue", "X_Roles": "admin", "X_Is_Admin": "True"}
        posing |= {"X_Identity_Status": "Confirmed", "X_Forwarded_User": "root", "X_Remote_User": "root"}
        version = {"OpenStack_API_Version": "compute 2.6"}
        body: dict[str, Any] = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        for addition in ("", "?project_id=blue&all_tenants=1&user_id=root"):
            path = f"/v2.1/servers/{uuid_of('blue')}/remote-consoles{addition}"
            self.assertEqual(self.system.post(path, body, **alice, **posing, **version).status, 404)
            more = body | {"user_id": "root", "project_id": "blue"}
            self.assertEqual(self.system.post(path, more, **alice, **posing, **version).status, 400)
        path = f"/v2.1/servers/{uuid_of('red')}/remote-consoles?user_id=root&project_id=blue"
        self.assertEqual(self.system.post(path, body, **alice, **posing, **version).status, 200)
        made = [token["connect_info"] for token in self.system.consoleauth.tokens.values()]
        self.assertEqual([(info["user_id"], info["project_id"]) for info in made], [("alice", "red")])
        for status, headers in ((401, posing), (200, alice | posing)):
            self.assertEqual(self.system.get("/v2.1/servers?all_tenants=1", **headers).status, status)


class DeputyTests(ConsoleAuthCase):
    """CVE-2026-71566: consoleauth, which may ask compute hosts for passwords, never asks without a valid token."""

    async def test_the_password_is_for_those_whom_the_console_is_for(self) -> None:
        host = await self.host()
        host.run()
        host.passwords[VM] = "secret"
        await self.serve(bind_address=True)
        await self.token()
        await self.check()
        asks = self.api.get_vnc_password
        cases: tuple[tuple[type[Refusal], str, str, str], ...] = (
            (InvalidToken, "wrong", "novnc", VIEWER),
            (InvalidToken, "", "novnc", VIEWER),
            (ConsoleForbidden, TOKEN, "xvpvnc", VIEWER),
            (ConsoleForbidden, TOKEN, "novnc", "192.0.2.8"),
        )
        for kind, token, console_type, viewer in cases:
            await self.refused(kind, asks(token, console_type, viewer))
        self.assertNotIn("get_vnc_password", host.asked)
        self.assertEqual(await asks(TOKEN, "novnc", VIEWER), "secret")
        self.clock.advance(600)
        await self.refused(InvalidToken, asks(TOKEN, "novnc", VIEWER))

    async def test_a_token_gets_no_other_servers_password(self) -> None:
        host = await self.host()
        host.run()
        host.run(OTHER_VM, port=5901)
        host.passwords.update({VM: "ours", OTHER_VM: "theirs"})
        await self.serve()
        await self.token()
        self.assertEqual(await self.api.get_vnc_password(TOKEN, "novnc", VIEWER), "ours")
