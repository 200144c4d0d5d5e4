"""Lists contain nothing that opens a session: no token, no password, and no text that is accepted as a token."""

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from novnc_twisted.access import hash_token
from novnc_twisted.consoleauth import ConsoleAuthAPI, ConsoleAuthManager
from novnc_twisted.errors import InvalidToken
from novnc_twisted.identity import HTTPBasic
from tests.api.harness import FakeHost, FakeReactor, System, instance, quick_hash, uuid_of
from tests.consoleauth.harness import VIEWER

ADMIN = {"Authorization": "Basic " + b64encode(b"root:toor").decode(), "OpenStack_API_Version": "compute 2.31"}
ALICE = {**ADMIN, "Authorization": "Basic " + b64encode(b"alice:r3d").decode()}
VNC_PASSWORD = "vnc-passw0rd"


class RunningHost(FakeHost):
    """A compute host whose consoles can be opened."""

    async def serve(self, transport: Any) -> Any:
        async def validate_console_port(instance_uuid: str, console_type: str, port: int | None) -> dict[str, Any]:
            return {"host": "192.0.2.7", "port": 5901, "socket": None, "name": "blue", "owners": ["blue"]}

        async def get_vnc_password(instance_uuid: str) -> dict[str, Any]:
            return {"password": VNC_PASSWORD}

        async def get_instances_at_address(host: str, port: int, socket: str | None) -> dict[str, Any]:
            return {"instances": []}

        methods = {
            "list_instances": self.list_instances,
            "get_instance": self.get_instance,
            "get_vnc_console": self.get_vnc_console,
            "validate_console_port": validate_console_port,
            "get_vnc_password": get_vnc_password,
            "get_instances_at_address": get_instances_at_address,
        }
        return await transport.serve(f"compute.{self.name}", methods, binary="nova-compute", host=self.name)


class RealAuth(ConsoleAuthManager):
    """The real consoleauth instead of the harness's fake."""

    async def serve(self, transport: Any) -> Any:
        await self.start()
        return self.stop


class ListingTests(TestCase):
    """Everything that the API, the bus and the store list, while project blue's VM has a live session."""

    async def setUp(self) -> None:
        users = Path(self.mktemp())
        users.write_text(f"alice:{quick_hash('r3d')}:red\nroot:{quick_hash('toor')}\n")
        clock = FakeReactor()
        host = RunningHost("host1", instance("blue", project_id="blue"), instance("red", project_id="red"))
        self.system = system = System(HTTPBasic(clock, users, admin_users=["root"]), host, reactor=clock)
        auth = RealAuth(system.transport, clock, now=clock.seconds, bind_address=True)
        system.consoleauth = auth  # type: ignore[assignment]
        await system.start()
        self.addCleanup(system.transport.stop)
        path = f"/v2.1/servers/{uuid_of('blue')}/remote-consoles"
        answer = system.post(path, {"remote_console": {"protocol": "vnc", "type": "novnc"}}, **ADMIN)
        self.token = answer.body["remote_console"]["url"].partition("token=")[2]
        self.api = ConsoleAuthAPI(system.transport)
        await self.api.check_token(self.token, "novnc", VIEWER)  # there is a live session
        await self.api.keep_token(self.token, VIEWER)

    def listed(self, who: dict[str, str]) -> Iterator[str]:
        """The API's answers to this user, including headers."""
        for path in (
            "/",
            "/v2.1",
            "/identity/v3",
            "/v2.1/servers",
            "/v2.1/servers/detail?all_tenants=1",
            f"/v2.1/servers/{uuid_of('blue')}",
            f"/v2.1/servers/{uuid_of('red')}",
            f"/v2.1/servers/{uuid_of('blue')}/remote-consoles",
            f"/v2.1/servers/{uuid_of('blue')}/os-console-auth-tokens",
            "/v2.1/os-console-auth-tokens",
            f"/v2.1/os-console-auth-tokens/{uuid_of('blue')}",
            f"/v2.1/os-console-auth-tokens/{hash_token(self.token)}",
            "/v2.1/os-services",
            "/v2.1/os-hypervisors/detail",
            "/v2.1/flavors/detail",
        ):
            answer = self.system.get(path, **who)
            yield json.dumps([answer.body, answer.headers])

    async def test_the_api_lists_nothing_to_join(self) -> None:
        """CVE-2021-41767: the id by which a session could be joined was in the list of sessions.

        Neither an administrator nor a user of another project receives the token, its hash, or the VNC password; and
        nothing that they receive opens a console.
        """
        seen = set()
        for who in (ADMIN, ALICE):
            for text in self.listed(who):
                for secret in (self.token, hash_token(self.token), VNC_PASSWORD):
                    self.assertNotIn(secret, text.replace(f"os-console-auth-tokens/{secret}", ""))
                seen.update(self.words(json.loads(text)))
        self.assertIn(uuid_of("blue"), seen)
        for word in sorted(seen):
            await self.refused(word)

    async def test_what_is_stored_opens_nothing(self) -> None:
        """CVE-2026-115373: data that others may read (here: all of the store) opens no console."""
        parts = [part for part in vars(self.system.transport.store).values() if isinstance(part, dict)]
        seen = {text for part in parts for text in (*map(str, part), *map(repr, part.values()))}
        self.assertTrue(any(hash_token(self.token) in word for word in seen), "the store was read")
        self.assertFalse(any(self.token in word or VNC_PASSWORD in word for word in seen))
        for word in sorted(seen):
            await self.refused(word)
        await self.refused(hash_token(self.token))

    async def test_services_tell_no_secret(self) -> None:
        services = repr(await self.system.transport.services())
        self.assertIn("nova-consoleauth", services)
        for secret in (self.token, hash_token(self.token), VNC_PASSWORD):
            self.assertNotIn(secret, services)

    def words(self, value: Any) -> Iterator[str]:
        """Each name and text in a value."""
        if isinstance(value, dict):
            for name, item in value.items():
                yield from (name, *self.words(item))
        elif isinstance(value, list):
            for item in value:
                yield from self.words(item)
        elif isinstance(value, str):
            yield value

    async def refused(self, word: str) -> None:
        await self.assertFailure(Deferred.fromCoroutine(self.api.check_token(word, "novnc", VIEWER)), InvalidToken)

    async def test_a_token_is_found_by_itself_alone(self) -> None:
        """The exact token opens the console, which proves that the checks of the other tests can fail."""
        info = await self.api.check_token(self.token, "novnc", VIEWER)
        self.assertEqual(info.instance_uuid, uuid_of("blue"))
        for word in (self.token.upper(), self.token[:-1], f"{self.token} ", str(uuid4())):
            await self.refused(word)
