"""``twistd novncproxy`` with nova's tokens, and with nova.conf files as deployment tools write them."""

import json
import re
import signal
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.trial.unittest import TestCase
from twisted.web.http import Request
from twisted.web.server import NOT_DONE_YET

from novnc_twisted.keystone.bounded import CONNECTIONS
from tests.service.test_commands import alone
from tests.session.harness import HANDSHAKE
from tests.support.openstack import PASSWORD, FakeOpenStack
from tests.support.twistd import Twistd, free_port
from tests.support.viewer import Viewers
from tests.support.vnc_server import FakeVNCServer

FILES = Path(__file__).parent / "files"
FLAVOURS = ("kolla", "osa", "debian", "devstack")


def filled(text: str, values: dict[str, str]) -> str:
    """Replace each @NAME@."""
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


class Peak:
    """Delays the answers of nova, and counts the requests that wait for them.

    :ivar peak: the highest number of requests that waited at once.
    """

    def __init__(self, cloud: FakeOpenStack) -> None:
        self.peak = self._now = 0
        self._cloud = cloud
        cloud.body = self._hold

    def _hold(self, request: Request) -> int:
        self._now += 1
        self.peak = max(self.peak, self._now)
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        reactor.callLater(0.02, self._answer, request, gone)
        return NOT_DONE_YET

    def _answer(self, request: Request, gone: list[object]) -> None:
        self._now -= 1
        if not gone:
            status, body = self._cloud._compute(request, request.path.decode().removeprefix("/compute/v2.1"))
            request.setResponseCode(status)
            request.write(json.dumps(body).encode())
            request.finish()


class NovaTests(TestCase):
    timeout = 300

    def setUp(self) -> None:
        self.cloud = FakeOpenStack.start(self)
        vnc = reactor.listenTCP(0, FakeVNCServer(), interface="127.0.0.1")
        self.addCleanup(vnc.stopListening)
        self.vnc_port = vnc.getHost().port
        self.port = free_port()

    def conf(self, flavour: str) -> str:
        text = (FILES / f"nova-{flavour}.conf").read_text()
        values = {"AUTH_URL": f"{self.cloud.url}/identity", "PASSWORD": PASSWORD, "PORT": str(self.port), "LOG_DIR": ""}
        return filled(text, values)

    def url(self, token: str) -> str:
        return f"http://127.0.0.1:{self.port}/vnc_auto.html?token={token}"

    async def console(self, flavour: str) -> None:
        """Check that a console opens, an unknown token is refused, and no secret is printed."""
        proxy = Twistd.start(self, "novncproxy", self.conf(flavour))
        await proxy.ready()
        token = self.cloud.add_console(self.vnc_port)
        viewer = await Viewers(self).open(self.url(token))
        self.assertIn("myserver20", viewer.name)
        viewer.leave()
        self.assertEqual((await Viewers(self).refusal(self.url("2b1c3d4e-0000-4000-8000-00000000000a")))[0], 4401)
        self.assertEqual(await proxy.stop(signal.SIGTERM), 0)
        for secret in (PASSWORD, token, "RABBIT_PASS"):
            self.assertNotIn(secret, proxy.output)

    async def test_kolla(self) -> None:
        await self.console("kolla")

    async def test_openstack_ansible(self) -> None:
        await self.console("osa")

    async def test_debian(self) -> None:
        await self.console("debian")

    async def test_devstack_with_an_application_credential(self) -> None:
        await self.console("devstack")

    async def test_states_of_a_server(self) -> None:
        proxy = Twistd.start(self, "novncproxy", self.conf("kolla"))
        await proxy.ready()
        viewers = Viewers(self)
        for status, code in (("SHUTOFF", 4409), ("SUSPENDED", 4409), ("SOFT_DELETED", 4404)):
            token = self.cloud.add_console(self.vnc_port, status=status)
            self.assertEqual((await viewers.refusal(self.url(token)))[0], code)

    async def test_nova_and_keystone_go_and_come_back(self) -> None:
        proxy = Twistd.start(self, "novncproxy", self.conf("kolla"))
        await proxy.ready()
        token, viewers = self.cloud.add_console(self.vnc_port), Viewers(self)
        viewer = await viewers.open(self.url(token))
        self.cloud.status = 503
        self.assertEqual((await viewers.refusal(self.url(token)))[0], 4503)
        self.cloud.status = 0
        (await viewers.open(self.url(token))).leave()
        port = self.cloud.port.getHost().port
        await self.cloud.stop()
        self.assertEqual((await viewers.refusal(self.url(token)))[0], 4503)
        self.cloud.listen(self, port)
        (await viewers.open(self.url(token))).leave()
        await viewer.update()  # the session lived through all of it
        self.assertNotIn("Traceback", proxy.output)

    async def test_the_end_while_nova_hangs(self) -> None:
        """Even if all threads wait for nova, a live session ends with 1001 as usual, and no secret is printed."""
        proxy = Twistd.start(self, "novncproxy", self.conf("kolla"))
        await proxy.ready()
        token, viewers = self.cloud.add_console(self.vnc_port), Viewers(self)
        viewer = await viewers.open(self.url(token))
        full: Deferred[None] = Deferred()
        held: list[Request] = []

        def hold(request: Request) -> int:
            held.append(request)
            if len(held) == CONNECTIONS:
                full.callback(None)
            return NOT_DONE_YET

        self.cloud.body = hold
        for _ in range(CONNECTIONS + 8):
            raw = await viewers.raw("127.0.0.1", self.port)
            raw.write(HANDSHAKE.format(path=f"/?token={token}", more="").encode())
            await raw.until(b"\r\n\r\n")
        await full
        self.assertEqual(await proxy.stop(), 0)
        self.assertEqual((await viewer.closed() or (0, ""))[0], 1001)
        for secret in (PASSWORD, token, "Traceback"):
            self.assertNotIn(secret, proxy.output)

    async def test_a_hundred_links_while_keystone_is_slow(self) -> None:
        """All links share one log-in, at most CONNECTIONS requests wait for nova, and a live session goes on."""
        proxy = Twistd.start(self, "novncproxy", self.conf("kolla"))
        await proxy.ready()
        viewers = Viewers(self)
        vnc = reactor.listenTCP(0, FakeVNCServer(name=b"QEMU (instance-00000001)"), interface="127.0.0.1")
        self.addCleanup(vnc.stopListening)
        self.vnc_port = vnc.getHost().port
        token = self.cloud.add_console(self.vnc_port)
        live = await viewers.open(self.url(token))
        self.cloud.valid.clear()  # as if the Keystone token had expired
        held: list[Request] = []

        def hold(request: Request) -> int:
            held.append(request)
            return NOT_DONE_YET

        self.cloud.identity_body = hold
        urls = [self.url(self.cloud.add_console(self.vnc_port)) for _ in range(100)]
        refused = await gatherResults([ensureDeferred(viewers.refusal(url)) for url in urls])
        self.assertEqual({code for code, _ in refused}, {4503})
        self.assertEqual(len(held), 1)
        await live.answers()

        at_once = Peak(self.cloud)
        self.cloud.identity_body = None
        held[0].write(self.cloud.render(held[0]))
        held[0].finish()
        before = len(self.cloud.requests)
        opened = await gatherResults([ensureDeferred(self.opens(viewers, url)) for url in urls])
        self.assertIn(True, opened)
        self.assertLessEqual(at_once.peak, CONNECTIONS)
        # At most two requests for each link of both rounds.
        self.assertLessEqual(len(self.cloud.requests) - before, 2 * 2 * len(urls))
        self.cloud.body = None
        (await viewers.open(self.url(token))).leave()
        await live.answers()
        self.assertEqual(await proxy.stop(signal.SIGTERM), 0)
        self.assertNotIn("Traceback", proxy.output)

    async def opens(self, viewers: Viewers, url: str) -> bool:
        """Return whether a link opens; on a busy machine, its deadline may expire."""
        try:
            viewer = await viewers.open(url)
        except AssertionError:
            return False
        viewer.leave()
        return True

    async def test_pages_behind_https(self) -> None:
        """Without novncproxy_base_url, which kolla sets on compute hosts alone, http and https pages may connect."""
        proxy = Twistd.start(self, "novncproxy", self.conf("kolla"))
        await proxy.ready()
        for scheme, status in (("https", 101), ("http", 101), ("ftp", 403)):
            raw = await Viewers(self).raw("127.0.0.1", self.port)
            origin = f"Origin: {scheme}://127.0.0.1\r\n"
            raw.write(HANDSHAKE.format(path=f"/?token={self.cloud.add_console(self.vnc_port)}", more=origin).encode())
            self.assertIn(str(status).encode(), await raw.until(b"\r\n\r\n"))

    async def test_nothing_but_the_right_to_look_up_tokens(self) -> None:
        self.cloud.may_read_servers = False
        proxy = Twistd.start(self, "novncproxy", self.conf("kolla"))
        await proxy.ready()
        for _ in range(2):
            (await Viewers(self).open(self.url(self.cloud.add_console(self.vnc_port)))).leave()
        await proxy.seen("add a rule for this request to the access rules")
        self.assertEqual(proxy.output.count("add a rule for this request to the access rules"), 1)

    async def test_two_servers_that_swapped_their_ports(self) -> None:
        """Nova's token has the old port of a server, where another server's screen is now.

        The name of the screen shows this, and the proxy asks where the console is now.
        """
        proxy = Twistd.start(self, "novncproxy", self.conf("kolla"))
        await proxy.ready()
        names = ("instance-00000001", "instance-00000002")
        ports = []
        for name in names:
            vnc = reactor.listenTCP(0, FakeVNCServer(name=f"QEMU ({name})".encode()), interface="127.0.0.1")
            self.addCleanup(vnc.stopListening)
            ports.append(vnc.getHost().port)
        viewers = Viewers(self)
        for name, port, other in zip(names, ports, reversed(ports), strict=True):
            wanted = {"OS-EXT-SRV-ATTR:instance_name": name}
            (await viewers.open(self.url(self.cloud.add_console(port, **wanted)))).leave()
            token = self.cloud.add_console(other, **wanted)
            self.assertEqual((await viewers.refusal(self.url(token)))[0], 4502)
            self.cloud.places[self.cloud.consoles[token]["instance_uuid"]] = "127.0.0.1", port
            (await viewers.open(self.url(token))).leave()
        await proxy.seen("QEMU (instance-00000002), not QEMU (instance-00000001)")

    async def test_a_live_migration(self) -> None:
        """Nova deletes the token, but the viewer can still reconnect with it, to the new host."""
        proxy = Twistd.start(self, "novncproxy", self.conf("kolla"))
        await proxy.ready()
        source = FakeVNCServer()
        there = reactor.listenTCP(0, source, interface="127.0.0.1")
        self.addCleanup(there.stopListening)
        token, viewers = self.cloud.add_console(there.getHost().port), Viewers(self)
        viewer = await viewers.open(self.url(token))
        await there.stopListening()
        source.connections[0].transport.abortConnection()
        self.assertEqual((await viewer.closed() or (0, ""))[0], 4504)
        server = self.cloud.consoles[token]["instance_uuid"]
        self.assertEqual((await viewers.refusal(self.url(token)))[0], 4502)  # nova does not know the new host yet
        del self.cloud.consoles[token]
        self.cloud.places[server] = "127.0.0.1", self.vnc_port
        (await viewers.open(self.url(token))).leave()
        self.cloud.servers[server]["tenant_id"] = "blue"
        self.assertEqual((await viewers.refusal(self.url(token)))[0], 4403)

    async def test_a_live_migration_with_workers(self) -> None:
        """The viewer can reconnect through either worker, although only one of them had the session."""
        proxy = Twistd.start(self, "novncproxy", self.conf("kolla").replace("[DEFAULT]", "[DEFAULT]\nworkers = 2", 1))
        await proxy.ready()
        there = reactor.listenTCP(0, FakeVNCServer(), interface="127.0.0.1")
        self.addCleanup(there.stopListening)
        token, viewers = self.cloud.add_console(there.getHost().port), Viewers(self)
        (await viewers.open(self.url(token))).leave()
        await there.stopListening()
        server = self.cloud.consoles.pop(token)["instance_uuid"]
        self.cloud.places[server] = "127.0.0.1", self.vnc_port
        served: set[str] = set()
        for _ in range(200):
            # Until the other worker knows of the session, it refuses the token.
            await self.opens(viewers, self.url(token))
            served |= set(re.findall(r"\[worker (\d) [^\n]* ended in phase live", proxy.output))
            if len(served) == 2:
                break
        self.assertEqual(served, {"1", "2"}, proxy.output)

    async def test_no_credentials(self) -> None:
        conf = "transport_url = rabbit://x:y@h//\n[consoleauth]\nbackend = nova\n"
        process = Twistd.start(self, "novncproxy", conf)
        self.assertEqual(await process.ended, 78)
        self.assertIn("[consoleauth] backend", process.output)
        self.assertIn("[nova]", process.output)
        self.assertEqual(process.output.count("\n"), 1, process.output)

    async def test_credentials_that_lack_something(self) -> None:
        conf = "transport_url = rabbit://x:y@h//\n[service_user]\nauth_type = password\nusername = nova\n"
        process = Twistd.start(self, "novncproxy", conf)
        self.assertEqual(await process.ended, 78)
        self.assertIn("[service_user]", process.output)
        self.assertIn("auth_url", process.output)
        self.assertEqual(process.output.count("\n"), 1, process.output)

    async def test_options_that_only_consoleauth_applies(self) -> None:
        """Those that restrict tokens are refused."""
        for option in ("one_time", "bind_address"):
            text = self.conf("kolla")
            process = Twistd.start(self, "novncproxy", f"{text}\n[consoleauth]\n{option} = true\n")
            self.assertEqual(await process.ended, 78)
            self.assertIn(f"[consoleauth] {option}: it can't be used with backend nova", process.output)
            self.assertEqual(process.output.count("\n"), 1, process.output)

    async def test_another_command(self) -> None:
        conf = alone() + "\n[consoleauth]\nbackend = nova\n" + self.cloud.credentials()
        process = Twistd.start(self, "console", conf)
        self.assertEqual(await process.ended, 78)
        self.assertIn("[consoleauth] backend", process.output)
        self.assertEqual(process.output.count("\n"), 1, process.output)
