"""``twistd novncproxy`` in front of nova, from nova.conf files as operators' tools write them."""

import signal
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

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
        """A console opens, an unknown token is refused, and nothing secret is printed."""
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
        """With more links than threads; the viewer of a live session is let go as always, and no secret is printed."""
        proxy = Twistd.start(self, "novncproxy", self.conf("kolla"))
        await proxy.ready()
        token, viewers = self.cloud.add_console(self.vnc_port), Viewers(self)
        viewer = await viewers.open(self.url(token))
        self.cloud.silent = True
        for _ in range(20):
            raw = await viewers.raw("127.0.0.1", self.port)
            raw.write(HANDSHAKE.format(path=f"/?token={token}", more="").encode())
            await raw.until(b"\r\n\r\n")
        self.assertEqual(await proxy.stop(signal.SIGTERM, timeout=10), 0)
        self.assertEqual((await viewer.closed() or (0, ""))[0], 1001)
        for secret in (PASSWORD, token, "Traceback"):
            self.assertNotIn(secret, proxy.output)

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
        self.assertEqual(proxy.output.count("add this path to the access rules"), 1)

    async def test_two_servers_that_swapped_their_ports(self) -> None:
        """Nova answers with the port that a server had; the screen that is there now says whose it is.

        The proxy then asks where the console is now.
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
        self.assertIn("QEMU (instance-00000002), not QEMU (instance-00000001)", proxy.output)

    async def test_a_live_migration(self) -> None:
        """The VNC server goes, and nova drops the token: the viewer comes back with it, to the new place."""
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

    async def test_another_command(self) -> None:
        conf = alone() + "\n[consoleauth]\nbackend = nova\n" + self.cloud.credentials()
        process = Twistd.start(self, "console", conf)
        self.assertEqual(await process.ended, 78)
        self.assertIn("[consoleauth] backend", process.output)
        self.assertEqual(process.output.count("\n"), 1, process.output)
