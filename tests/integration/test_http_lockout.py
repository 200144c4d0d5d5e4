"""Lock-outs by real requests on loopback, with bcrypt in threads, and how unmodified clients report them."""

from pathlib import Path
from typing import Any

import bcrypt
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers

from novnc_twisted.identity import HTTPBasic, LockoutSettings
from tests.api.harness import quick_hash
from tests.api.users import basic
from tests.integration.clients_case import Clients

NOVA = "nova get-vnc-console myserver20 novnc"
OPENSTACK = "openstack console url show --novnc myserver20"


class LockoutTests(Clients):
    async def begin(self, **settings: Any) -> None:
        users = Path(self.mktemp())
        users.write_text(f"alice:{quick_hash('secret')}:red\nroot:{quick_hash('toor')}\n")
        self.compared = 0
        check = bcrypt.checkpw

        def counted(*given: bytes) -> bool:
            self.compared += 1
            return check(*given)

        self.patch(bcrypt, "checkpw", counted)
        await self.listen(
            HTTPBasic(reactor, users, admin_users=["root"], lockout=LockoutSettings(first=600, **settings))
        )
        self.pool = HTTPConnectionPool(reactor, persistent=False)
        self.agent = Agent(reactor, pool=self.pool)

    async def ask(self, user: str = "alice", password: str = "wrong", **headers: str) -> tuple[int, str | None, bytes]:
        """Status, Retry-After and body."""
        sent = {"Authorization": basic(user, password)} if user else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        response: Any = await self.agent.request(
            b"GET", f"{self.url}/v2.1/servers".encode(), Headers({name: [value] for name, value in sent.items()})
        )
        (wait,) = response.headers.getRawHeaders("Retry-After", [None])
        return response.code, wait, await readBody(response)

    async def many(self, count: int, **given: str) -> list[int]:
        return await self.statuses([given] * count)

    async def statuses(self, requests: list[dict[str, str]]) -> list[int]:
        answers = await gatherResults([Deferred.fromCoroutine(self.ask(**given)) for given in requests])
        return sorted(status for status, _, _ in answers)

    async def test_guesses_side_by_side(self) -> None:
        """At most 8 of 100 guesses are compared; the others cost no bcrypt; then the right password is refused, too."""
        await self.begin()
        statuses = await self.statuses([{"password": f"wrong {number}"} for number in range(100)])
        self.assertEqual(statuses, [401] * self.compared + [429] * (100 - self.compared))
        self.assertIn(self.compared, range(5, 9))
        before = self.compared
        status, wait, body = await self.ask(password="secret")
        self.assertEqual(status, 429)
        self.assertIsNotNone(wait)
        self.assertIn(b"Too many failed log-ins", body)
        self.assertEqual((await self.ask("nobody"))[0], 401)
        self.assertEqual(self.compared, before + 1)

    async def test_good_ones_side_by_side(self) -> None:
        await self.begin()
        self.assertEqual(await self.many(60, password="secret"), [200] * 60)

    async def test_what_clients_show(self) -> None:
        """Both ways to log in: the client prints the sentence and exits at once, without retries."""
        await self.begin()
        await self.many(5)
        compared = self.compared
        ran = await gatherResults(
            [
                self.run_client(NOVA, self.password("alice", "secret", "red")),
                self.run_client(OPENSTACK, self.password("alice", "secret", "red")),
                self.run_client(NOVA, self.basic("nova", "alice", "secret")),
                self.run_client(OPENSTACK, self.basic("openstack", "alice", "secret")),
            ]
        )
        for output, errors, code in ran:
            self.assertEqual((output, code), ("", 1), errors)
            self.assertRegex(errors, r"Too many failed log-ins\. Try again in [0-9]{3} s\.")
            self.assertNotIn("Traceback", errors)
        self.assertEqual(self.compared, compared)
        _, errors, code = await self.run_client(NOVA, self.password("root", "toor", "red"))
        self.assertEqual(code, 0, errors)
