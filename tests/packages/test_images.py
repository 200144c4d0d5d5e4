"""Each image: its service starts, its health check passes, and its stop signal ends it."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.ports import free_port
from tests.support.redis_server import RedisServer

TIMEOUT = 60.0
"""Seconds that a service may take to start or stop; far more than it needs."""

CONF = """[DEFAULT]
transport_url = {transport_url}
host = compute1
osapi_compute_listen_port = {ports[0]}
[vnc]
novncproxy_port = {ports[1]}
xvpvncproxy_port = {ports[2]}
[libvirt]
connection_uri = test:///default
[monitoring]
listen = 127.0.0.1:{ports[3]}
"""


def buildah(*arguments: str) -> str:
    """Run buildah, and return its output."""
    done = subprocess.run(["buildah", *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class ImageTests(SynchronousTestCase):
    def start(self, command: str, conf: str) -> tuple[str, dict[str, Any]]:
        """Run the entry point of an image with this nova.conf; return the container, and the image's settings."""
        # The user of the image may not be allowed to read trial's folder.
        folder = Path(tempfile.mkdtemp(prefix="image-"))
        self.addCleanup(shutil.rmtree, folder)
        folder.chmod(0o755)
        (folder / "nova.conf").write_text(conf)
        settings = json.loads(buildah("inspect", "--type", "image", command))["Docker"]["config"]
        self.assertEqual(settings["User"], "42436:42436")
        container = buildah("from", command)
        self.addCleanup(buildah, "rm", container)
        # In a chroot, the service is a process of this machine, which this mark finds.
        mark = f"IMAGE_TEST={folder.name}"
        line = ["buildah", "run", "--env", mark, "--volume", f"{folder}:/etc/nova:ro", container, "--"]
        log = folder / "log"
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [*line, *settings["Entrypoint"], *settings["Cmd"]], stdout=output, stderr=subprocess.STDOUT
            )
        self.addCleanup(self.end, mark)
        self.log, self.mark = log, mark
        return container, settings

    def end(self, mark: str) -> None:
        if self.process.poll() is None:
            os.kill(service(mark), signal.SIGKILL)
            self.process.wait(TIMEOUT)

    def healthy(self, container: str, settings: dict[str, Any], port: int) -> None:
        """Run the image's health check until it passes."""
        kind, *check = settings["Healthcheck"]["Test"]
        self.assertEqual(kind, "CMD")
        end = time.monotonic() + TIMEOUT
        while True:
            line = ["buildah", "run", "--env", f"HEALTHZ=127.0.0.1:{port}", container, "--", *check]
            done = subprocess.run(line, capture_output=True, text=True, timeout=60)
            if done.returncode == 0:
                return
            self.assertIsNone(self.process.poll(), self.log.read_text())
            self.assertLess(time.monotonic(), end, f"{done.stderr}\n{self.log.read_text()}")
            time.sleep(0.2)

    def check(self, command: str, transport_url: str) -> None:
        ports = [free_port() for _ in range(4)]
        container, settings = self.start(command, CONF.format(transport_url=transport_url, ports=ports))
        self.healthy(container, settings, ports[3])
        os.kill(service(self.mark), getattr(signal, settings["StopSignal"]))
        self.assertEqual(self.process.wait(TIMEOUT), 0, self.log.read_text())
        self.assertNotIn("Traceback", self.log.read_text())

    def test_console(self) -> None:
        """Everything in one process needs no Redis."""
        self.check("console", "memory://")

    def test_consoleapi(self) -> None:
        self.check("consoleapi", RedisServer(self).url)

    def test_consoleauth(self) -> None:
        self.check("consoleauth", RedisServer(self).url)

    def test_consolecompute(self) -> None:
        self.check("consolecompute", RedisServer(self).url)

    def test_novncproxy(self) -> None:
        self.check("novncproxy", RedisServer(self).url)

    def test_xvpvncproxy(self) -> None:
        self.check("xvpvncproxy", RedisServer(self).url)


def service(mark: str) -> int:
    """The process id of the twistd with this mark in its environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"--nodaemon" in words and mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                return int(folder.name)
        except OSError:
            continue  # it has ended
    raise AssertionError("the service does not run")
