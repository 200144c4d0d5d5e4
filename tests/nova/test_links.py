"""Console links that nova made: from the user's command to the picture, and links that are out of date."""

import signal
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from tests.nova.cloud import listens
from tests.nova.documents import block, cells, run, with_values
from tests.nova.harness import TIMEOUT, NovaCase, instance_name, token_of, until
from tests.support.browser import ConsolePage, with_page
from tests.support.twistd import Twistd, free_port
from tests.support.viewer import Viewers


class LinkTests(NovaCase):
    async def test_the_command_and_the_page(self) -> None:
        """The link of ``openstack console url show --novnc`` shows the picture of a real QEMU in Chromium."""
        server = await self.server("myserver20")
        vm = await self.blocking(lambda: self.vm(instance_name(server), "vm"))
        self.place(server, vm.port)
        proxy = await self.proxy()
        out, err, status = await getProcessOutputAndValue(
            str(self.cloud.venv / "bin" / "openstack"),
            ["console", "url", "show", "--novnc", "myserver20", "-f", "value", "-c", "url"],
            env=self.cloud.environment("alice", "red"),
        )
        self.assertEqual(status, 0, err)
        url = out.decode().strip()
        token = token_of(url)
        proxies = f"127.0.0.1:{self.cloud.ports['proxy']}"
        self.assertIn(f"http://{proxies}/vnc_lite.html?path=", url)

        def steps(page: ConsolePage) -> None:
            page.wait_title("myserver20", TIMEOUT)
            page.wait_painted(TIMEOUT)
            page.wait_said("Connected", TIMEOUT)

        seen = await with_page(url.replace(proxies, f"127.0.0.1:{self.port}"), steps)
        self.assertEqual(seen.complaints(), [])
        self.assertEqual((await Viewers(self).refusal(self.url(token[:-1] + "x")))[0], 4401)
        self.assertEqual(await proxy.stop(signal.SIGTERM), 0)
        for word in (token, "novncproxy-password", "nova-password", "Traceback"):
            self.assertNotIn(word, proxy.output)

    async def test_the_commands_before_users_reach_it(self) -> None:
        """The commands in docs/openstack.rst that check a controller succeed."""
        server = await self.server("myserver20")
        self.place(server, self.vnc(instance_name(server)))
        await self.proxy()
        conf = Path(self.mktemp()).absolute()
        conf.write_text(self.conf())
        values = {"/etc/nova/nova.conf": str(conf), "CONTROLLER:6080": f"127.0.0.1:{self.port}", "SERVER": "myserver20"}
        commands = with_values(block("openstack.rst", "nova-novncproxy --check-config"), values)
        out = await run(commands, self.cloud.environment("alice", "red"), self.mktemp())
        self.assertRegex(out, r"(?m)^200$")
        (await Viewers(self).open(self.url(token_of(cells(out)["url"])))).leave()

    async def test_nova_novncproxy_serves_the_same_links(self) -> None:
        server = await self.server("myserver20")
        self.place(server, self.vnc(instance_name(server)))
        await self.proxy()
        theirs = free_port()
        conf = Path(self.mktemp()).absolute()
        conf.write_text(self.conf().replace(f"novncproxy_port = {self.port}", f"novncproxy_port = {theirs}"))
        web = Path(self.mktemp()).absolute()
        web.mkdir()
        (web / "vnc_lite.html").write_text("a page")
        command = [str(self.cloud.venv / "bin" / "nova-novncproxy"), "--config-file", str(conf), "--web", str(web)]
        nova = Twistd("nova-novncproxy")
        nova.process = reactor.spawnProcess(nova, command[0], command, env=None)
        self.addCleanup(nova.stop)
        await self.blocking(lambda: until(lambda: listens(theirs), "nova-novncproxy"))
        token = await self.token(server)
        for url in (self.url(token), f"http://127.0.0.1:{theirs}/?token={token}", self.url(token)):
            (await Viewers(self).open(url)).leave()

    async def test_a_stale_port(self) -> None:
        """If another VM has the token's port, the proxy asks nova for the port again; that may be wrong, too."""
        server, viewers = await self.server("myserver20"), Viewers(self)
        mine, others = self.vnc(instance_name(server)), self.vnc("instance-0000ffff")
        await self.proxy()
        self.place(server, others)
        token = await self.token(server)
        self.assertEqual((await viewers.refusal(self.url(token)))[0], 4502)
        self.place(server, mine)
        (await viewers.open(self.url(token))).leave()

    async def test_two_servers_that_swapped_their_ports(self) -> None:
        servers = [await self.server(name) for name in ("myserver20", "myserver21")]
        ports = [self.vnc(instance_name(server)) for server in servers]
        for server, port in zip(servers, reversed(ports), strict=True):
            self.place(server, port)  # nova's ports are outdated: the VMs have swapped them
        await self.proxy()
        tokens = [await self.token(server) for server in servers]
        for token in tokens:
            self.assertEqual((await Viewers(self).refusal(self.url(token)))[0], 4502)
        for server, port in zip(servers, ports, strict=True):
            self.place(server, port)  # the compute host reports the new ports
        for server, token in zip(servers, tokens, strict=True):
            viewer = await Viewers(self).open(self.url(token))
            self.assertEqual(viewer.name, server["name"])
            await viewer.leave()

    async def test_a_stopped_and_a_deleted_server(self) -> None:
        server, viewers = await self.server("myserver22"), Viewers(self)
        self.place(server, self.vnc(instance_name(server)))
        await self.proxy()
        token, path = await self.token(server), f"/servers/{server['id']}"
        (await viewers.open(self.url(token))).leave()
        await self.blocking(lambda: self.alice.do("POST", f"{path}/action", {"os-stop": None}))
        await self.blocking(lambda: self.alice.until(path, "status", "SHUTOFF"))
        self.assertEqual((await viewers.refusal(self.url(token)))[0], 4409)
        await self.blocking(lambda: self.alice.do("DELETE", path))
        await self.blocking(lambda: until(lambda: self.alice.ask("GET", path)[0] == 404, "the end of the server"))
        self.assertIn((await viewers.refusal(self.url(token)))[0], (4401, 4404))
