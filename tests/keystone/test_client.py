"""Requests with a token of Keystone: real keystoneauth1 against a small Keystone and nova on loopback."""

from pathlib import Path

from oslo_config import cfg
from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.service.configuration import read_all
from novnc_twisted.service.nova_backend import make_client
from tests.support.openstack import PASSWORD, FakeOpenStack

TOKEN = "2b1c3d4e-0000-4000-8000-00000000000a"


class ClientTests(TestCase):
    timeout = 120

    def setUp(self) -> None:
        self.cloud = FakeOpenStack.start(self)

    def conf(self, text: str) -> cfg.ConfigOpts:
        path = Path(self.mktemp())
        path.write_text(text)
        return read_all([str(path)]).conf

    def client(self, **more: str):
        client = make_client(reactor, self.conf(self.cloud.credentials(**more)))
        client.start()
        self.addCleanup(client.stop)
        return client

    async def unavailable(self, client) -> str:
        error = await self.assertFailure(client.request("GET", f"/os-console-auth-tokens/{TOKEN}"), ServiceUnavailable)
        self.assertNotIn(TOKEN, str(error))
        self.assertNotIn(PASSWORD, str(error))
        return error.detail

    async def test_one_keystone_token_for_many_requests(self) -> None:
        client = self.client()
        for _ in range(3):
            answer = await client.request("GET", f"/os-console-auth-tokens/{TOKEN}")
            self.assertEqual(answer.status, 404)
        posts = [path for method, path, _ in self.cloud.requests if method == "POST"]
        self.assertEqual(posts, ["/identity/v3/auth/tokens"])
        versions = {version for _, path, version in self.cloud.requests if path.startswith("/compute")}
        self.assertEqual(versions, {"compute 2.31"})

    async def test_a_keystone_token_that_is_no_longer_valid_is_renewed_once(self) -> None:
        client = self.client()
        await client.request("GET", "/servers/x")
        self.cloud.valid.clear()
        answer = await client.request("GET", "/servers/x")
        self.assertEqual(answer.status, 404)
        self.assertEqual(len([1 for method, _, _ in self.cloud.requests if method == "POST"]), 2)
        self.cloud.status = 401
        answer = await client.request("GET", "/servers/x")
        self.assertEqual(answer.status, 401)
        self.assertEqual(len([1 for method, _, _ in self.cloud.requests if method == "POST"]), 3)

    async def test_refused_credentials(self) -> None:
        client = self.client(password="another")
        self.assertEqual(await self.unavailable(client), "Keystone refuses the credentials of [service_user]")

    async def test_nobody_listens(self) -> None:
        client = self.client()
        url = self.cloud.url
        await self.cloud.stop()
        self.assertIn(f"{url} does not answer", await self.unavailable(client))

    async def test_a_region_that_does_not_exist(self) -> None:
        detail = await self.unavailable(self.client(region_name="Mars"))
        self.assertIn("region_name", detail)

    async def test_not_a_keystone(self) -> None:
        client = self.client(auth_url=f"{self.cloud.url}/compute/v2.1")
        for _ in range(10):  # more than there are threads: none of them may wait for ever
            self.assertIn("auth_url of [service_user]", await self.unavailable(client))

    async def test_cancelled(self) -> None:
        client = self.client()
        self.cloud.silent = True
        asked = client.request("GET", "/servers/x")
        asked.cancel()
        await self.assertFailure(asked, CancelledError)

    async def test_stopped(self) -> None:
        client = self.client()
        client.stop()
        await self.unavailable(client)
