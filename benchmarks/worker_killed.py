"""``python -m benchmarks.worker_killed``: how soon the page is back after its worker was killed (SIGKILL).

The services are those of :mod:`benchmarks.takeovers`, with two workers of the noVNC proxy.  A page in Chromium has a
live session.  In each round, first one worker is killed and then the other, so that the page loses its session once;
the other worker takes it over.  At the end both are killed at once, and the page has to wait for a new one.
"""

import os
import shutil
import signal
import socketserver
import statistics
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as Late

from benchmarks.load import LOOPBACK
from benchmarks.takeovers import Cloud

STATUS = "() => document.querySelector('[role=status]').textContent.startsWith('Connected')"
LOST, LONGEST = 1_000, 30_000
"""Milliseconds within which a page shows the loss of its session, and within which it must be back."""


class Client(socketserver.StreamRequestHandler):
    """A client of a VNC server whose screen never changes."""

    def handle(self) -> None:
        """Log the client in, and read what it sends."""
        for words, length in ((b"RFB 003.008\n", 12), (b"\1\1", 1), (bytes(4), 1)):
            self.wfile.write(words)
            self.rfile.read(length)
        pixels = bytes((32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0))
        self.wfile.write(struct.pack(">HH16sI", 640, 480, pixels, 4) + b"kill")
        while self.rfile.read1():
            pass


class Screen(socketserver.ThreadingTCPServer):
    """The VNC server of the cloud.  It serves inside a ``with`` block."""

    daemon_threads = True

    def __enter__(self) -> Self:
        """Begin to serve."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return super().__enter__()

    def server_close(self) -> None:
        """Stop serving."""
        self.shutdown()
        super().server_close()


class Served(Cloud):
    """The cloud of the take-overs, for a browser: the page's Origin is compared with the base URL."""

    def files(self) -> dict[str, str]:
        """See Cloud."""
        files = super().files()
        return files | {"nova.conf": files["nova.conf"].replace("base_url = http:", "base_url = https:")}


def workers(cloud: Cloud) -> list[int]:
    """The processes of the workers."""
    main = cloud.pid("novncproxy")
    return [int(pid) for pid in Path(f"/proc/{main}/task/{main}/children").read_text().split()]


def away(page: Page, pids: list[int]) -> float | None:
    """Kill these workers; return for how many seconds the page had no session.  None: it kept its session."""
    began = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    try:
        page.wait_for_function(f"() => !({STATUS})()", timeout=LOST)
    except Late:
        return None
    page.wait_for_function(STATUS, timeout=LONGEST)
    return time.monotonic() - began


def settle(cloud: Cloud, count: int) -> None:
    """Wait until ``count`` workers exist, and then 11 s longer."""
    while len(workers(cloud)) < count:
        time.sleep(0.05)
    time.sleep(11)  # a worker that lived for less than 10 s is replaced after a pause


def main(rounds: int) -> int:
    """Run it, and print the result."""
    one: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Screen((LOOPBACK, 0), Client) as screen,
        Served([screen.server_address[1]], Path(folder)) as cloud,
        sync_playwright() as playwright,
    ):
        program = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(ignore_https_errors=True).new_page()
        path, _ = cloud.links("novnc", 1)[0]
        page.goto(f"https://{LOOPBACK}:{cloud.port}/vnc_auto.html{path.removeprefix('/')}")
        page.wait_for_function(STATUS, timeout=LONGEST)
        for _ in range(rounds):
            for pid in workers(cloud):
                settle(cloud, 2)
                if (seconds := away(page, [pid])) is not None:
                    one.append(seconds)
        settle(cloud, 2)
        both = away(page, workers(cloud))
        browser.close()
    print(
        f"its worker killed: the page is back after {statistics.median(one):.2f} s (median of {len(one)}), "
        f"{max(one):.2f} s at most; both workers killed: {both or 0:.2f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
