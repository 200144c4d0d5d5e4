"""Users of a Keystone: the real openstack client, keystoneauth1 on both sides, and a small Keystone on loopback."""

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.web.client import Agent, readBody
from twisted.web.http_headers import Headers

from novnc_twisted.service import keystone_users
from novnc_twisted.service.configuration import read_all
from tests.integration.clients_case import NOVNC_URL, Clients
from tests.support.identity import project_id
from tests.support.logged import Logged
from tests.support.openstack import PASSWORD, FakeOpenStack


class KeystoneUsersTests(Clients):
    async def start(self) -> None:
        self.cloud = FakeOpenStack.start(self)
        path = Path(self.mktemp())
        path.write_text(self.cloud.credentials("keystone_authtoken"))
        auth, client = keystone_users.make(reactor, read_all([str(path)]).conf)
        client.start()
        self.addCleanup(client.stop)
        await self.listen(auth)
        for instance in self.system.hosts[0].instances.values():
            if instance["project_name"] == "red":
                instance["project_id"] = project_id("red")
        self.cloud.users.compute_url = f"{self.url}/v2.1"
        self.cloud.users.identity_url = f"{self.cloud.url}/identity/v3"

    def settings(self, name: str, password: str) -> dict[str, str]:
        return self.password(name, password, "red") | {"OS_AUTH_URL": f"{self.cloud.url}/identity/v3"}

    def validations(self) -> int:
        return len(
            [1 for method, path, _ in self.cloud.requests if (method, path) == ("GET", "/identity/v3/auth/tokens")]
        )

    async def test_clients_and_a_keystone_that_changes(self) -> None:
        """A member and a reader; then our own token expires, our user lacks a right, and Keystone is down."""
        await self.start()
        alice = self.settings("alice", self.cloud.users.add("alice", project="red"))
        rita = self.settings("rita", self.cloud.users.add("rita", project="red", roles=("reader",)))
        command = "openstack --os-auth-type password console url show --novnc myserver20"
        console, listed, refused, wrong = await gatherResults(
            [
                self.run_client(command, alice),
                self.run_client("openstack server list -c Name", alice),
                self.run_client(command, rita),
                self.run_client(command, alice | {"OS_PASSWORD": "wrong"}),
            ]
        )
        self.assertRegex(dict(self.rows(console)[1:])["url"], NOVNC_URL)
        self.assertEqual(self.rows(listed), [["Name"], ["myserver2"], ["myserver20"]])
        self.assertEqual((refused[2], wrong[2]), (1, 1))
        self.assertIn("A user with the role reader cannot open consoles", refused[1])
        # One token for each client that logged in, validated once: no client ran longer than the cache keeps it.
        self.assertEqual(self.validations(), 3)
        log = Logged(self)
        self.assertEqual(await self.status("/v2.1/servers", self.cloud.users.add_token()), 200)
        # Our own token expires: it is renewed, and no client notices.
        self.cloud.valid.clear()
        self.assertEqual(await self.status("/v2.1/servers", self.cloud.users.add_token()), 200)
        self.assertEqual(await self.status("/v2.1/servers", "unknown"), 401)
        self.assertEqual(log.lines("are refused"), [])
        self.cloud.may_validate = False
        for _ in range(3):
            self.assertEqual(await self.status("/v2.1/servers", self.cloud.users.add_token()), 503)
        self.assertEqual(len(log.lines("let the user of [keystone_authtoken] validate tokens")), 1)
        self.cloud.may_validate = True
        token, port = self.cloud.users.add_token(), self.cloud.port.getHost().port
        await self.cloud.stop()
        self.assertEqual(await self.status("/v2.1/servers", token), 503)
        self.cloud.listen(self, port)
        self.assertEqual(await self.status("/v2.1/servers", token), 200)
        for secret in (token, PASSWORD, alice["OS_PASSWORD"]):
            self.assertEqual(log.lines(secret), [])

    async def status(self, path: str, token: str) -> int:
        headers = Headers({"X-Auth-Token": [token]})
        response = await Agent(reactor).request(b"GET", f"{self.url}{path}".encode(), headers)
        await readBody(response)
        return int(response.code)
