"""The files of contrib/container, without a build; ``make test-packages`` builds and runs the images."""

import configparser
import json
import re
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from tests.test_systemd import commands

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "contrib" / "container"

ARGUMENTS = {
    **dict.fromkeys(("FROM", "ARG", "COPY", "RUN", "USER", "WORKDIR", "STOPSIGNAL"), "text"),
    **dict.fromkeys(("ENTRYPOINT", "CMD"), "list"),
    "HEALTHCHECK": "check",
}
"""The instructions that the Containerfile uses, and the form of their arguments."""


def steps() -> list[tuple[str, str]]:
    """Instruction and argument of each step."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "Containerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


class ContainerfileTests(SynchronousTestCase):
    def test_instructions(self) -> None:
        """Each instruction is known; lists are JSON; the shell can parse each command."""
        for name, rest in steps():
            form = ARGUMENTS[name]
            if form == "list":
                self.assertIsInstance(json.loads(rest), list)
            elif form == "check":
                self.assertIsInstance(json.loads(rest.partition(" CMD ")[2]), list)
            elif name == "RUN":
                done = subprocess.run(["sh", "-n"], input=rest, text=True, capture_output=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""), rest)

    def test_variables(self) -> None:
        """Each variable is an ARG with a default."""
        declared = {rest.partition("=")[0] for name, rest in steps() if name == "ARG"}
        used = {found for _, rest in steps() for found in re.findall(r"\$\{(\w+)\}", rest)}
        self.assertEqual(used, declared)
        self.assertTrue(all("=" in rest for name, rest in steps() if name == "ARG"))

    def test_files_that_are_copied(self) -> None:
        ignored = (ROOT / ".dockerignore").read_text().split()
        for name, rest in steps():
            if name == "COPY" and not rest.startswith("--from"):
                for source in rest.split()[:-1]:
                    self.assertTrue((ROOT / source).exists(), source)
                    self.assertNotIn(source, ignored)

    def test_extras(self) -> None:
        """The extras exist, and are those of the Debian package."""
        (extras,) = [rest.partition("=")[2] for name, rest in steps() if rest.startswith("EXTRAS=")]
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        self.assertLessEqual(set(extras.split(",")), set(known))
        self.assertIn(f"[{extras}]", (ROOT / "contrib" / "debian" / "build").read_text())

    def test_an_image_for_each_command(self) -> None:
        (line,) = re.findall(r"\|\| set -- (.*)", (FOLDER / "build").read_text())
        self.assertEqual(set(line.split()), commands())

    def test_build_refuses_an_unknown_option(self) -> None:
        done = subprocess.run([FOLDER / "build", "--what"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 64)
        self.assertIn("--debootstrap", done.stderr)


class Handler(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


class HealthTests(SynchronousTestCase):
    def check(self, address: str) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, FOLDER / "healthz"]
        return subprocess.run(line, env={"HEALTHZ": address}, capture_output=True, text=True, timeout=240)

    def test_the_health_check(self) -> None:
        """Only status 200 passes.  If no server answers, one line is printed."""
        server = HTTPServer(("127.0.0.1", 0), Handler)
        address = f"127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            for status, code in ((200, 0), (503, 1)):
                self.patch(Handler, "status", status)
                self.assertEqual(self.check(address).returncode, code)
        finally:
            server.shutdown()
            server.server_close()
        done = self.check(address)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertIn(address, done.stderr)

    def test_it_asks_where_the_image_listens(self) -> None:
        image = configparser.ConfigParser()
        image.read(FOLDER / "image.conf")
        self.assertIn(f'"HEALTHZ", "{image["monitoring"]["listen"]}"', (FOLDER / "healthz").read_text())
