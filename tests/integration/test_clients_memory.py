"""Unmodified python-novaclient and python-openstackclient against the API, with the settings of the documents."""

import re
from dataclasses import replace
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import gatherResults

from novnc_twisted.consoleauth import ConsoleAuthManager
from novnc_twisted.consoleauth.admissions import Admissions
from novnc_twisted.contract import ConnectInfo, EndedSession
from novnc_twisted.identity import HTTPBasic, NoAuth
from tests.api.harness import publish, quick_hash, uuid_of
from tests.integration.clients_case import NOVNC_URL, XVP_URL, Clients
from tests.session.workers import SERVER, worker


class NoAuthTests(Clients):
    """auth_strategy = noauth."""

    async def test_nova(self) -> None:
        """The commands of the nova client print their tables."""
        await self.listen(NoAuth())
        listed, novnc, xvpvnc, services, old, show = await self.run_all(
            self.none("nova"),
            "nova list",
            "nova get-vnc-console myserver20 novnc",
            "nova get-vnc-console myserver20 xvpvnc",
            "nova service-list",
            "nova --os-compute-api-version 2.1 get-vnc-console myserver20 novnc",
            "nova show myserver20",
        )
        servers = {row[1]: row[2] for row in self.rows(listed)[1:]}
        self.assertEqual(
            servers, {"myserver20": "ACTIVE", "myserver2": "SHUTOFF", "novga": "ACTIVE", "other": "ACTIVE"}
        )
        for result, kind, pattern in (
            (novnc, "novnc", NOVNC_URL),
            (old, "novnc", NOVNC_URL),
            (xvpvnc, "xvpvnc", XVP_URL),
        ):
            header, row = self.rows(result)
            self.assertEqual(header, ["Type", "Url"])
            self.assertEqual(row[0], kind)
            self.assertRegex(row[1], pattern)
        self.assertEqual(
            [row[1:6] for row in self.rows(services)[1:]],
            [
                ["nova-compute", "host1", "nova", "enabled", "up"],
                ["nova-compute", "host2", "nova", "enabled", "up"],
                ["nova-consoleauth", "controller", "internal", "enabled", "up"],
                ["nova-novncproxy", "host1", "internal", "enabled", "up"],
                ["nova-xvpvncproxy", "host1", "internal", "enabled", "up"],
            ],
        )
        self.assertIn(["id", uuid_of("myserver20")], self.rows(show))

    async def test_openstack(self) -> None:
        """The commands of the openstack client print their tables."""
        await self.listen(NoAuth())
        settings = self.none("openstack")
        listed, novnc, xvpvnc, old, services = await self.run_all(
            settings,
            "openstack server list",
            "openstack console url show --novnc myserver20",
            "openstack console url show --xvpvnc myserver20",
            "openstack --os-compute-api-version 2.1 console url show --novnc myserver20",
            "openstack compute service list",
        )
        rows = self.rows(listed)
        self.assertEqual(rows[0], ["ID", "Name", "Status", "Networks", "Image", "Flavor"])
        self.assertIn(
            [uuid_of("myserver20"), "myserver20", "ACTIVE", "", "N/A (booted from volume)", "1vcpu-512mb"], rows
        )
        found = dict(self.rows(novnc)[1:])
        self.assertEqual((found["protocol"], found["type"]), ("vnc", "novnc"))
        self.assertRegex(found["url"], NOVNC_URL)
        self.assertRegex(dict(self.rows(xvpvnc)[1:])["url"], XVP_URL)
        self.assertRegex(dict(self.rows(old)[1:])["url"], NOVNC_URL)
        self.assertEqual(len(self.rows(services)), 6)
        token = re.search(NOVNC_URL, found["url"])[1]
        shown, unknown = await self.run_all(
            settings,
            f"openstack console connection show {token}",
            "openstack console connection show 6f666601-0101-4101-8101-010101010101",
        )
        connection = dict(self.rows(shown)[1:])
        self.assertEqual(connection["instance_uuid"], uuid_of("myserver20"))
        self.assertEqual((connection["host"], connection["port"]), ("192.0.2.7", "5901"))
        self.assertEqual(unknown[2], 1)
        self.assertIn("Token not found", unknown[1])

    async def test_errors(self) -> None:
        """Both clients print errors as a sentence."""
        await self.listen(NoAuth())
        cases = {
            "nosuch": r"No server with a name or ID of 'nosuch' exists|No Server found for nosuch",
            "myserver2": r"This server is not running\. Start or resume it to use its console\.",
            "novga": r"Unavailable console type novnc\.",
            "6f666601-0101-4101-8101-010101010101": r"No server with a name or ID of .6f66|No Server found for",
        }
        results = await gatherResults(
            [
                self.run_client(f"{command} {name}{kind}", self.none(client))
                for name in cases
                for client, command, kind in (
                    ("nova", "nova get-vnc-console", " novnc"),
                    ("openstack", "openstack console url show --novnc", ""),
                )
            ]
        )
        expected = [pattern for pattern in cases.values() for _ in range(2)]
        for (output, errors, code), pattern in zip(results, expected, strict=True):
            self.assertEqual(code, 1, output + errors)
            self.assertRegex(errors, pattern)
            self.assertNotIn("Traceback", errors)

    async def test_power(self) -> None:
        """Each power command reaches the compute host as its own action; a refusal is a sentence."""
        await self.listen(NoAuth())
        nova, openstack = self.none("nova"), self.none("openstack")
        host = self.system.hosts[0]
        for command, name, action in (
            ("nova stop", "myserver20", "stop"),
            ("nova start", "myserver2", "start"),
            ("openstack server reboot --soft", "myserver20", "reboot"),
            ("openstack server reboot --hard", "myserver20", "reset"),
            ("openstack server pause", "myserver20", "pause"),
            ("openstack server unpause", "myserver20", "unpause"),
        ):
            settings = nova if command.startswith("nova") else openstack
            output, errors, code = await self.run_client(f"{command} {name}", settings)
            self.assertEqual(code, 0, output + errors)
            self.assertEqual(host.power, [(uuid_of(name), action)], command)
            host.power.clear()
        host.power_reply = {"state": "shutoff", "conflict": "state"}
        for result in await gatherResults(
            [
                self.run_client("nova stop myserver2", nova),
                self.run_client("openstack server pause myserver2", openstack),
            ]
        ):
            self.assertEqual(result[2], 1, result)
            self.assertIn("while it is in vm_state stopped", "".join(result[:2]))

    async def test_dead_compute_host(self) -> None:
        """If compute hosts are down, the clients report an unavailable service, not a missing server."""
        await self.listen(NoAuth())
        nova, openstack = self.none("nova"), self.none("openstack")
        (listed,) = await self.run_all(nova, "nova list")
        self.assertEqual(len(self.rows(listed)), 5)
        publish(self, self.system, "host1", *self.system.hosts[0].instances.values())
        first, second = self.system.undo[:2]
        await first()
        died = await gatherResults(
            [
                self.run_client("nova get-vnc-console myserver20 novnc", nova),
                self.run_client("openstack console url show --novnc myserver20", openstack),
            ]
        )
        (others,) = await self.run_all(nova, "nova list")
        states = {row[1]: row[2] for row in self.rows(others)[1:]}
        self.assertEqual(
            states, {"myserver2": "UNKNOWN", "myserver20": "UNKNOWN", "novga": "UNKNOWN", "other": "ACTIVE"}
        )
        await second()
        died += await gatherResults(
            [
                self.run_client(f"nova get-vnc-console {uuid_of('myserver20')} novnc", nova),
                self.run_client("nova list", nova),
                self.run_client("openstack server list", openstack),
            ]
        )
        for output, errors, code in died:
            self.assertEqual(code, 1, output + errors)
            self.assertIn("The console service is not available. Try again in a moment.", errors)
            self.assertNotIn("Traceback", errors)


class HTTPBasicTests(Clients):
    """auth_strategy = http_basic."""

    async def start(self) -> None:
        file = Path(self.mktemp())
        red, root = quick_hash("r3d:pass"), quick_hash("toor")
        file.write_text(f"# who may come in\nalice:{red}:red\nroot:{root}\n")
        await self.listen(HTTPBasic(reactor, file, admin_users=["root"]))

    async def test_password(self) -> None:
        """Users log in at our identity service; a project sees only its own servers."""
        await self.start()
        alice = self.password("alice", "r3d:pass", "red")
        root = self.password("root", "toor", "anything")
        listed, console, foreign, openstack, url, everything, issued, refused = await gatherResults(
            [
                self.run_client("nova list", alice),
                self.run_client("nova get-vnc-console myserver20 novnc", alice),
                self.run_client("nova get-vnc-console other novnc", alice),
                self.run_client("openstack server list", alice),
                self.run_client(
                    "openstack console url show --novnc myserver20", alice | {"OS_AUTH_URL": f"{self.url}/identity/v3"}
                ),
                self.run_client("nova list", root),
                self.run_client("openstack token issue", alice),
                self.run_client("openstack compute service list", alice),
            ]
        )
        self.assertEqual([row[1] for row in self.rows(listed)[1:]], ["myserver2", "myserver20"])
        self.assertRegex(self.rows(console)[1][1], NOVNC_URL)
        self.assertIn("No server with a name or ID of 'other' exists.", foreign[1])
        self.assertEqual([row[1] for row in self.rows(openstack)[1:]], ["myserver2", "myserver20"])
        self.assertRegex(dict(self.rows(url)[1:])["url"], NOVNC_URL)
        self.assertEqual(len(self.rows(everything)), 5)
        self.assertEqual(dict(self.rows(issued)[1:])["project_id"], "red")
        self.assertEqual(refused[2], 1)
        self.assertIn("Policy doesn't allow os_compute_api:os-services:list to be performed.", refused[1])

    async def test_basic(self) -> None:
        """Authorization: Basic on each request."""
        await self.start()
        listed, console, openstack, url = await gatherResults(
            [
                self.run_client("nova list", self.basic("nova", "alice", "r3d:pass")),
                self.run_client("nova get-vnc-console myserver20 novnc", self.basic("nova", "alice", "r3d:pass")),
                self.run_client("openstack server list", self.basic("openstack", "root", "toor")),
                self.run_client(
                    "openstack console url show --novnc myserver20", self.basic("openstack", "alice", "r3d:pass")
                ),
            ]
        )
        self.assertEqual([row[1] for row in self.rows(listed)[1:]], ["myserver2", "myserver20"])
        self.assertRegex(self.rows(console)[1][1], NOVNC_URL)
        self.assertEqual(len(self.rows(openstack)), 5)
        self.assertRegex(dict(self.rows(url)[1:])["url"], NOVNC_URL)

    async def test_wrong_password(self) -> None:
        """Both ways to log in report a wrong password."""
        await self.start()
        results = await gatherResults(
            [
                self.run_client("nova list", self.password("alice", "wrong", "red")),
                self.run_client("openstack server list", self.password("alice", "wrong", "red")),
                self.run_client("openstack server list", self.password("alice", "r3d:pass", "blue")),
                self.run_client("nova list", self.basic("nova", "alice", "wrong")),
            ]
        )
        for output, errors, code in results:
            self.assertEqual(code, 1, output + errors)
            self.assertRegex(errors, "requires authentication|Unauthorized")
            self.assertNotIn("Traceback", errors)


class ConsoleSessionTests(Clients):
    """The plug-in of python-openstackclient, with a running consoleauth and workers of proxies."""

    async def test_sessions(self) -> None:
        """Each command, without a log-in."""
        await self.listen(NoAuth())
        await self.system.undo[-1]()
        manager = ConsoleAuthManager(self.system.transport, reactor)
        await manager.start()
        self.addCleanup(manager.stop)
        edge = await worker(self.system.transport, "edge1")
        first, second = edge.add("1" * 32, started_at=1.5), edge.add("2" * 32, user_id="boris", token_hash="0b" * 32)
        session = replace(first.info, admission="0a" * 16)
        ended = EndedSession(session=session, ended_at=61.0, cause="ClientLeft")
        info = ConnectInfo(
            host="127.0.0.1",
            port=5900,
            instance_uuid=session.server_id,
            user_id=session.user_id,
            admission=session.admission,
        )
        store = self.system.transport.store
        await Admissions(store).add(first.info.token_hash, first.info.client_address, info, made_at=0.0, owner=None)
        await self.system.transport.call("consoleauth", "report_closed", sessions=[ended.to_wire()])
        settings = self.none("openstack")
        listed, filtered, shown, history, changed, deleted, missing = await self.run_all(
            settings,
            "openstack console session list",
            f"openstack console session list --user boris --server {SERVER} --proxy edge1 --long --limit 1",
            f"openstack console session show {first.id}",
            "openstack console history list --since 1970-01-01T00:01:00Z --until 1970-01-01T00:02:00Z",
            f"openstack console session set {first.id} --mode view",
            f"openstack console session delete {second.id} --reason leaver",
            f"openstack console session delete {'3' * 32}",
        )
        rows = self.rows(listed)
        self.assertEqual(rows[0], ["ID", "Server", "User", "Type", "Mode", "Client", "Proxy", "Phase", "Started At"])
        self.assertEqual(
            rows[1][:8], [first.id, "myserver20", "alice", "novnc", "control", "192.0.2.7", "edge1", "live"]
        )
        self.assertEqual([row[0] for row in rows[1:]], [first.id, second.id])
        self.assertEqual([row[0] for row in self.rows(filtered)[1:]], [second.id])
        self.assertIn(["started_at", "1970-01-01T00:00:01.500Z"], self.rows(shown))
        self.assertEqual(self.rows(history)[1][-2:], ["1970-01-01T00:01:01.000Z", "ClientLeft"])
        self.assertEqual((changed, deleted), (("", "", 0), ("", "", 0)))
        self.assertEqual((first.modes, str(second.cause)), (["view"], "Revoked: by admin: leaver"))
        self.assertIn(f"Session {'3' * 32} could not be found.", missing[1])
        self.assertEqual(missing[2], 1)

    async def test_after_a_log_in(self) -> None:
        """The catalogue of the small identity service names the console API."""
        users = Path(self.mktemp())
        users.write_text(f"alice:{quick_hash('r3d:pass')}:red\n")
        await self.listen(HTTPBasic(reactor, users))
        (await worker(self.system.transport, "edge1")).add("1" * 32)
        listed = await self.run_client("openstack console session list", self.password("alice", "r3d:pass", "red"))
        self.assertEqual([row[0] for row in self.rows(listed)[1:]], ["1" * 32])
