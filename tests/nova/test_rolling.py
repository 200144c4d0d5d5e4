"""Replace the proxy on one controller after the other, behind haproxy as in docs/openstack.rst, and go back."""

import re
import shutil
import signal
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.nova.cloud import listens
from tests.nova.harness import NovaCase, instance_name, until
from tests.support.twistd import Twistd, free_port
from tests.support.viewer import Viewers

ROOT = Path(__file__).parents[2]
GLOBAL = "defaults\n    timeout connect 5s\n    default-server inter 200ms\n\n"


def section(front: int, controllers: dict[str, int]) -> str:
    """The haproxy configuration of docs/openstack.rst, with ports on this machine."""
    page = (ROOT / "docs" / "openstack.rst").read_text()
    found = re.search(r"(?m)^    frontend novncproxy\n(?:    .*\n|\n)+", page)
    assert found is not None
    text = re.sub(r"(?m)^    ", "", found[0]).replace("bind *:6080", f"bind 127.0.0.1:{front}")
    for name, port in controllers.items():
        text, count = re.subn(rf"server {name} \S+", f"server {name} 127.0.0.1:{port}", text)
        assert count == 1, name
    return re.sub(r"(?m)^ *server controller3 .*\n", "", text)


class RollingTests(NovaCase):
    async def run_program(self, *command: str) -> Twistd:
        program = Twistd(Path(command[0]).name)
        program.process = reactor.spawnProcess(program, command[0], command, env=None)
        self.addCleanup(program.stop)
        return program

    async def start(self, program: str, port: int) -> Twistd:
        """Start nova's command, or ours, on a controller."""
        conf = Path(self.mktemp()).absolute()
        conf.write_text(self.conf().replace(f"novncproxy_port = {self.port}", f"novncproxy_port = {port}"))
        web = ["--web", str(ROOT / "novnc_twisted" / "web" / "dist")]
        started = await self.run_program(program, "--config-file", str(conf), *web)
        await self.blocking(lambda: until(lambda: listens(port), program))
        return started

    async def opens(self, url: str) -> None:
        """Try to open the link until it works: haproxy needs a moment to notice which controllers are up."""
        viewers, last = Viewers(self), AssertionError()
        for _ in range(100):
            try:
                (await viewers.open(url)).leave()
            except AssertionError as error:
                last = error
                await deferLater(reactor, 0.2)
            else:
                return
        raise last

    async def test_there_and_back(self) -> None:
        haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/sbin:/bin")
        self.assertIsNotNone(haproxy, "apt-get install haproxy")
        novas = str(self.cloud.venv / "bin" / "nova-novncproxy")
        ours = str(ROOT / ".venv" / "bin" / "nova-novncproxy")
        ports = {"controller1": free_port(), "controller2": free_port()}
        conf = Path(self.mktemp()).absolute()
        conf.write_text(GLOBAL + section(self.port, ports))
        server = await self.server("myserver20")
        self.place(server, self.vnc(instance_name(server)))
        running = {name: await self.start(novas, port) for name, port in ports.items()}
        await self.run_program(str(haproxy), "-db", "-f", str(conf))
        await self.blocking(lambda: until(lambda: listens(self.port), "haproxy"))
        url = self.url(await self.token(server))
        await self.opens(url)
        for program in (ours, novas):  # there, and back
            for name, port in ports.items():
                await running[name].stop(signal.SIGTERM, timeout=10)
                await self.opens(url)  # the other controller serves it
                running[name] = await self.start(program, port)
                await self.opens(url)
