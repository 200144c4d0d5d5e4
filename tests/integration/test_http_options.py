"""The API as a process: it obeys nova.conf's options for lock-outs and for proxies in front of it."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers

from tests.api.harness import quick_hash
from tests.api.users import basic
from tests.support.redis_server import RedisServer
from tests.support.twistd import Twistd, free_port


class OptionTests(TestCase):
    timeout = 300

    async def begin(self, console: str = "") -> None:
        users = Path(self.mktemp()).absolute()
        users.write_text(f"alice:{quick_hash('secret')}:red\n")
        self.port = free_port()
        conf = (
            f"[DEFAULT]\ntransport_url = {RedisServer(self).url}\nosapi_compute_listen_port = {self.port}\n"
            f"[console]\n{console}\n"
            f"[api]\nauth_strategy = http_basic\nhttp_basic_auth_user_file = {users}\n"
            "lockout_failures = 2\nlockout_time = 500\nlockout_max_time = 700\n"
        )
        self.api = Twistd.start(self, "consoleapi", conf)
        await self.api.ready()

    async def ask(self, password: str, client: str = "", path: str = "/v2.1/servers") -> tuple[int, str, str]:
        """Status, Retry-After, body."""
        sent = {"Authorization": basic("alice", password)} | ({"X-Forwarded-For": client} if client else {})
        sent |= {"X-Forwarded-Proto": "https"}
        response: Any = await Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False)).request(
            b"GET",
            f"http://localhost:{self.port}{path}".encode(),
            Headers({name: [value] for name, value in sent.items()}),
        )
        (wait,) = response.headers.getRawHeaders("Retry-After", [""])
        return response.code, wait, (await readBody(response)).decode()

    async def test_behind_a_proxy(self) -> None:
        """A trusted proxy sets addresses and scheme: its clients are counted separately, and links use the scheme."""
        await self.begin("trusted_proxies = 127.0.0.1, ::1")
        self.assertEqual([(await self.ask("x", "192.0.2.1"))[0] for _ in range(3)], [401, 401, 429])
        status, wait, _ = await self.ask("secret", "192.0.2.1")
        self.assertEqual((status, int(wait) in range(400, 501)), (429, True))
        self.assertEqual((await self.ask("x", "192.0.2.2"))[0], 401)
        self.assertIn('"https://localhost', (await self.ask("x", path="/v2.1"))[2])
        await self.api.seen("user alice is locked out from 192.0.2.1 for 500 s")
        for secret in ("secret", basic("alice", "secret").split()[1]):
            self.assertNotIn(secret, self.api.output)

    async def test_behind_nobody(self) -> None:
        """A client that claims other addresses is counted as one, and does not influence links."""
        await self.begin()
        self.assertEqual([(await self.ask("x", f"192.0.2.{at}"))[0] for at in range(3)], [401, 401, 429])
        self.assertIn('"http://localhost', (await self.ask("x", path="/v2.1"))[2])
