"""``make demo``, as people and scripts start and end it."""

import os
import pty
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from twisted.trial.unittest import TestCase

ROOT = Path(__file__).resolve().parent.parent.parent
LAST_LINE = "Ctrl-C ends the demo"
DEADLINE = 240.0
"""Seconds that anything here may take on a busy machine; nothing is asserted about how long it took."""


def free_ports() -> list[int]:
    """Three ports that nobody has just now."""
    probes = [socket.socket() for _ in range(3)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def commands_with(mark: str) -> list[str]:
    """The command lines of this machine's processes that hold a text."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if mark in command:
                found.append(command)
    return found


class Demo:
    """A demo that was started, and what it printed."""

    def __init__(self, test: TestCase, *command: str, terminal: bool = False) -> None:
        self.test = test
        self.ports = free_ports()
        self.text = ""
        self._give_up = time.monotonic() + DEADLINE
        output = subprocess.PIPE
        if terminal:
            self._reader, writer = pty.openpty()
            output = writer
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "demo"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"DEMO_PORTS": " ".join(str(port) for port in self.ports)},
        )
        if terminal:
            os.close(writer)
        elif self.process.stdout is not None:
            self._reader = os.dup(self.process.stdout.fileno())
            self.process.stdout.close()
        test.addCleanup(self._end)

    def read_until(self, text: str) -> None:
        """Read what it prints until that comes, or it ends."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._reader, selectors.EVENT_READ)
            while text not in self.text:
                if not selector.select(max(0.0, self._give_up - time.monotonic())):
                    self.test.fail(f"{text!r} did not come: {self.text}")
                try:
                    data = os.read(self._reader, 65536)
                except OSError:  # how a terminal says that nobody writes to it any more
                    data = b""
                if not data:
                    break
                self.text += data.decode()

    def read_all(self) -> None:
        """Read until everyone who writes there has ended."""
        self.read_until("\0never")

    @property
    def folder(self) -> Path:
        """Its private folder, found in the command line of its libvirtd (or as it printed it)."""
        match = re.search(r"log: (\S+)/console\.log", self.text)
        assert match is not None, self.text
        return Path(match[1])

    def wait(self) -> int:
        """Wait for its end; gives the exit code."""
        return self.process.wait(max(0.0, self._give_up - time.monotonic()))

    def assert_nothing_left(self) -> None:
        """VM, libvirtd, services, folder and ports are gone."""
        self.test.assertEqual(commands_with(f"{self.folder}/"), [])
        self.test.assertFalse(self.folder.exists())
        for port in self.ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        os.close(self._reader)


class DemoTests(TestCase):
    """A demo that comes up, and its ends."""

    def test_shows_the_way(self) -> None:
        """It prints nova's table, whose link is served; SIGTERM ends it with 0 and leaves nothing."""
        demo = Demo(self)
        demo.read_until(LAST_LINE)
        self.assertIn("\n$ nova get-vnc-console myserver20 novnc\n+-------+-", demo.text)
        match = re.search(
            r"^\| novnc \| (http://127\.0\.0\.1:(\d+)/vnc_auto\.html\?token=[0-9a-f-]{36}) \|$", demo.text, re.M
        )
        assert match is not None, demo.text
        self.assertEqual(int(match[2]), demo.ports[1])
        self.assertNotIn("deprecated", demo.text)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(match[1], timeout=10) as reply:
            self.assertIn(b"<html", reply.read())
        self.assertTrue(any("qemu-system" in command for command in commands_with(f"{demo.folder}/")))
        demo.process.terminate()
        self.assertEqual(demo.wait(), 0)
        demo.assert_nothing_left()

    def test_ctrl_c(self) -> None:
        """Ctrl-C, as a terminal sends it."""
        demo = Demo(self, terminal=True)
        demo.read_until(LAST_LINE)
        os.killpg(demo.process.pid, signal.SIGINT)
        self.assertEqual(demo.wait(), 0)
        demo.assert_nothing_left()

    def test_killed(self) -> None:
        """SIGKILL gives it no time, yet all that it started ends: the demo is two processes, each minds the other."""
        for whom in ("the first", "the second"):
            demo = Demo(self)
            demo.read_until(LAST_LINE)
            first = demo.process.pid
            (second,) = Path(f"/proc/{first}/task/{first}/children").read_text().split()[:1]
            os.kill(first if whom == "the first" else int(second), signal.SIGKILL)
            self.assertNotEqual(demo.wait(), 0)
            give_up = time.monotonic() + DEADLINE
            while demo.folder.exists() or commands_with(f"{demo.folder}/"):
                if time.monotonic() > give_up:
                    self.fail(f"still there: {commands_with(f'{demo.folder}/')}")
                time.sleep(0.05)
            demo.assert_nothing_left()

    def test_sigterm_to_make(self) -> None:
        """What make is told, the demo is told; make ends after it."""
        make = shutil.which("make")
        assert make is not None, "make is missing"
        demo = Demo(self, make, "demo", f"VENV={os.path.relpath(sys.prefix, ROOT)}")
        demo.read_until(LAST_LINE)
        demo.process.terminate()
        self.assertEqual(demo.wait(), -signal.SIGTERM)
        demo.assert_nothing_left()

    def test_ended_while_it_starts(self) -> None:
        """SIGTERM at any step of the start: it ends with 0, and with all that had come up."""
        for step in (
            "starting libvirtd",
            "starting myserver20",
            "waiting for the services",
            "asking OpenStack's client",
        ):
            before = set(Path("/tmp").glob("nt????????"))
            demo = Demo(self)
            demo.read_until(step)
            mine = set(Path("/tmp").glob("nt????????")) - before
            demo.process.terminate()
            self.assertEqual(demo.wait(), 0, demo.text)
            demo.read_all()
            self.assertNotIn("Traceback", demo.text)
            left = [folder for folder in mine if folder.exists() and commands_with(f"{folder}/") == []]
            self.assertEqual(left, [], step)

    def test_port_in_use(self) -> None:
        """One line, which names the port and what to do, before anything is started."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            done = self.run_with(" ".join(str(one) for one in [*free_ports()[:2], port]))
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stdout.splitlines()), 1, done.stdout)
        self.assertIn(f"port {port} on 127.0.0.1 can't be had", done.stdout)
        self.assertIn("DEMO_PORTS", done.stdout)

    def test_wrong_ports(self) -> None:
        """One line for what is no three ports."""
        for wrong in ("8774", "1 2 x", "1 2 99999", "8774 8774 6081"):
            done = self.run_with(wrong)
            self.assertEqual((done.returncode, len(done.stdout.splitlines())), (1, 1), done.stdout)
            self.assertIn("DEMO_PORTS must be three different ports", done.stdout)

    def run_with(self, ports: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [sys.executable, "-m", "demo"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE,
            env=os.environ | {"DEMO_PORTS": ports},
        )
