"""``make demo``: each way to start it and to end it."""

import contextlib
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

from tests.support.browser import ConsolePage, with_page
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
LAST_LINE = "Ctrl-C ends the demo"
DEADLINE = 240.0
"""Seconds that each step may take on a busy machine."""


def free_ports() -> list[int]:
    """Three ports that are free now."""
    ports: set[int] = set()
    while len(ports) < 3:
        ports.add(free_port())
    return list(ports)


def commands_with(mark: str) -> dict[int, str]:
    """The processes of this machine whose command lines contain a text: their ids and command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if mark in command:
                found[int(entry.name)] = command
    return found


class Demo:
    """A demo, and its output."""

    def __init__(self, test: TestCase, *command: str, terminal: bool = False) -> None:
        self.test = test
        self.ports = free_ports()
        self.text = ""
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
        """Read its output until a text appears; fail if the output ends first."""
        self._read(text)
        if text not in self.text:
            self.test.fail(f"the demo has ended before {text!r}: {self.text}")

    def _read(self, text: str) -> None:
        give_up = time.monotonic() + DEADLINE
        with selectors.DefaultSelector() as selector:
            selector.register(self._reader, selectors.EVENT_READ)
            while text not in self.text:
                if not selector.select(max(0.0, give_up - time.monotonic())):
                    self.test.fail(f"{text!r} did not come: {self.text}")
                try:
                    data = os.read(self._reader, 65536)
                except OSError:  # the end of a terminal without writers
                    data = b""
                if not data:
                    break
                self.text += data.decode()

    def read_all(self) -> None:
        """Read until all processes that write this output have ended."""
        self._read("\0never")

    @property
    def folder(self) -> Path:
        """Its private folder, which its output names."""
        match = re.search(r"log: (\S+)/console\.log", self.text)
        assert match is not None, self.text
        return Path(match[1])

    def wait_for_processes(self) -> None:
        """Wait until the demo's processes have ended, including those that are not our children."""
        self.read_all()
        while running := commands_with(f"{self.folder}/"):
            with contextlib.suppress(ProcessLookupError), selectors.DefaultSelector() as selector:
                descriptor = os.pidfd_open(next(iter(running)))
                selector.register(descriptor, selectors.EVENT_READ)
                ended = selector.select(DEADLINE)
                os.close(descriptor)
                if not ended:
                    self.test.fail(f"still running: {running}")

    def wait(self) -> int:
        """Wait for its end, and return the exit code."""
        return self.process.wait(DEADLINE)

    def assert_nothing_left(self) -> None:
        """VM, libvirtd, services, folder and ports are gone."""
        self.test.assertEqual(commands_with(f"{self.folder}/"), {})
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
    """A demo that starts, and all ways to end it."""

    timeout = 900

    async def test_shows_the_way(self) -> None:
        """It prints nova's table and the address of a list of three VMs; after SIGTERM it leaves nothing."""
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
        with opener.open(match[1], timeout=DEADLINE) as reply:
            self.assertIn(b"<html", reply.read())
        (address,) = re.findall(r"^All servers, .*: (http://\S+)$", demo.text[match.end() :], re.M)
        await self.the_list_on_a_phone(address)
        self.assertTrue(any("qemu-system" in command for command in commands_with(f"{demo.folder}/").values()))
        demo.process.terminate()
        self.assertEqual(demo.wait(), 0)
        demo.assert_nothing_left()

    async def the_list_on_a_phone(self, url: str) -> None:
        """The list of real VMs in Firefox at a phone's size: pictures, a console, suspend, resume and pause."""

        def steps(view: ConsolePage) -> None:
            page = view.page
            page.wait_for_function("() => document.querySelectorAll('.tile').length === 3")
            names = page.locator(".tile:has([data-state=ACTIVE]) .name").all_text_contents()
            self.assertEqual(names, ["myserver20", "myserver21", "myserver22"])
            tile = page.locator(".tile", has_text="myserver21")
            tile.locator("img:not([hidden])").wait_for()
            self.assertLessEqual(page.evaluate("() => document.documentElement.scrollWidth"), 390)
            with page.context.expect_page() as opening:
                tile.locator(".screen").click()
            console = ConsolePage(opening.value, view.seen)
            console.wait_said("Connected")
            console.wait_painted()
            for action, state in (("Suspend", "SUSPENDED"), ("Resume", "ACTIVE")):
                page.bring_to_front()
                tile.locator("summary").click()
                tile.get_by_role("button", name=action).click()
                if action == "Suspend":
                    page.locator("dialog").get_by_role("button", name=action).click()
                tile.locator(f".state[data-state={state}]").wait_for()
                console.page.bring_to_front()
                console.wait_said("This server is not running." if action == "Suspend" else "Connected")
            console.wait_painted()
            page.bring_to_front()
            tile.locator("summary").click()
            tile.get_by_role("button", name="Pause").click()
            page.locator("dialog").get_by_role("button", name="Pause").click()
            tile.locator(".state[data-state=PAUSED]").wait_for()
            console.page.bring_to_front()
            console.page.locator("#stage canvas").focus()
            console.press("x")  # a key that changes nothing
            console.wait_said("The server is paused. It does nothing")
            console.page.get_by_role("button", name="Continue").click()
            console.page.wait_for_function("() => document.getElementById('state').textContent === 'Connected'")
            page.bring_to_front()
            tile.locator(".state[data-state=ACTIVE]").wait_for()

        seen = await with_page(url, steps, browser="firefox", size=(390, 844))
        self.assertEqual(seen.console, [])

    def test_ctrl_c(self) -> None:
        """SIGINT to all processes of the terminal, as Ctrl-C sends it."""
        demo = Demo(self, terminal=True)
        demo.read_until(LAST_LINE)
        os.killpg(demo.process.pid, signal.SIGINT)
        self.assertEqual(demo.wait(), 0)
        demo.assert_nothing_left()

    def test_killed(self) -> None:
        """After SIGKILL all of its processes end as well: the demo is two processes that watch each other."""
        for whom in ("the first", "the second"):
            demo = Demo(self)
            demo.read_until(LAST_LINE)
            first = demo.process.pid
            (second,) = Path(f"/proc/{first}/task/{first}/children").read_text().split()[:1]
            os.kill(first if whom == "the first" else int(second), signal.SIGKILL)
            self.assertNotEqual(demo.wait(), 0)
            demo.wait_for_processes()
            demo.assert_nothing_left()

    def test_sigterm_to_make(self) -> None:
        """make passes SIGTERM on to the demo, and ends after it."""
        make = shutil.which("make")
        assert make is not None, "make is missing"
        demo = Demo(self, make, "demo", f"VENV={os.path.relpath(sys.prefix, ROOT)}")
        demo.read_until(LAST_LINE)
        demo.process.terminate()
        self.assertEqual(demo.wait(), -signal.SIGTERM, demo.text)
        demo.assert_nothing_left()

    def test_ended_while_it_starts(self) -> None:
        """After SIGTERM at any step of the start, it ends what it has started, and exits with 0."""
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
            # Other tests that run at the same time make such folders too, and remove them.
            until = time.monotonic() + 60
            while left := [folder for folder in mine if folder.exists() and not commands_with(f"{folder}/")]:
                self.assertLess(time.monotonic(), until, (step, left))
                time.sleep(0.1)

    def test_port_in_use(self) -> None:
        """If a port is in use, one line names it and what to do, and nothing is started."""
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
        """An invalid DEMO_PORTS is one line."""
        for wrong in ("8774", "1 2 x", "1 2 99999", "8774 8774 6081"):
            done = self.run_with(wrong)
            self.assertEqual((done.returncode, len(done.stdout.splitlines())), (1, 1), done.stdout)
            self.assertIn("DEMO_PORTS must be three different ports", done.stdout)

    def run_with(self, ports: str) -> subprocess.CompletedProcess[str]:
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
