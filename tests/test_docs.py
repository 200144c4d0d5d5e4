"""The documents: they build, what they take from the code is current, what they name exists, their examples run."""

import ast
import contextlib
import io
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from oslo_config import generator
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from benchmarks import readme
from novnc_twisted.contract.roles import ROLES
from novnc_twisted.contract.topics import TOPICS
from novnc_twisted.errors import TABLE, InstanceNotRunning, InvalidToken
from novnc_twisted.events.records import RefusalCause
from novnc_twisted.messaging import transport_from_url
from novnc_twisted.messaging.redis.acl import store_rights
from novnc_twisted.monitoring.definitions import DEFINITIONS as METRICS
from novnc_twisted.rfb import HandshakeDriver, ServerInit, login, offer, refuse
from novnc_twisted.service.configuration import read_configuration
from novnc_twisted.service.options import TABLE as OPTIONS
from novnc_twisted.session import SessionSettings
from tests.support.redis_server import RedisServer
from tests.support.vnc_server import FakeVNCServer
from tests.test_layers import LAYERS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted([*DOCS.glob("*.rst"), *DOCS.glob("*.md"), README])
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

sys.path.insert(0, str(DOCS / "_ext"))
import advice  # noqa: E402
import novnc_twisted_docs as extension  # noqa: E402


async def run(*arguments: str) -> tuple[str, str, int]:
    """Python with these arguments: what it printed, what it complained of, its exit code."""
    out, err, code = await getProcessOutputAndValue(sys.executable, arguments, env=ENVIRONMENT, path="/")
    return out.decode(), err.decode(), code


class Building(TestCase):
    """``make docs``."""

    timeout = 300

    async def test_without_a_warning(self) -> None:
        out = Path(self.mktemp()).absolute()
        words = ["-m", "sphinx", "-n", "-q", "-W", "--keep-going", "-b", "html", "-d", f"{out}/trees", str(DOCS)]
        self.assertEqual(await run(*words, f"{out}/html"), ("", "", 0))
        for page in (page for page in PAGES if page != README):
            self.assertTrue((out / "html" / f"{page.stem}.html").exists(), page)
        # What is generated is there, in the pages' own form.
        operations = (out / "html" / "operations.html").read_text()
        for name in TABLE:
            self.assertIn(f'id="{name.lower()}"', operations)


class Generated(TestCase):
    """What the documents take from the code."""

    def test_every_refusal_has_advice_and_a_row(self) -> None:
        self.assertEqual(set(advice.ADVICE), set(TABLE))
        text = "\n".join(extension.refusal_lines())
        for name, row in TABLE.items():
            self.assertIn(f"_`{name}`", text)
            self.assertIn(row.sentence, text)
            self.assertIn(f"close {row.close_code}", text)

    def test_every_option_has_a_row_with_its_former_names(self) -> None:
        text = "\n".join(extension.option_lines())
        for group, options in OPTIONS.items():
            self.assertIn(f"[{group}]", text)
            for option in options:
                self.assertIn(f"``{option.name}``", text)
                self.assertTrue(option.help, option.name)
        self.assertIn("``[DEFAULT] vncserver_proxyclient_address``", text)

    def test_rights_of_the_users_of_redis(self) -> None:
        text = "\n".join(extension.rights_lines())
        for topic in TOPICS:
            for role in topic.callers:
                methods = ", ".join(f"``{method}``" for method in topic.methods_of(role))
                self.assertIn(f"``{topic.pattern}``: {methods}", text)
        for role in ROLES:
            self.assertIn(f"``novnc-{role}", text)
            for right in store_rights(role):
                self.assertIn(right.meaning, text)
        self.assertIn(".. rights::", (DOCS / "redis_acl.rst").read_text())

    def test_metrics(self) -> None:
        text = "\n".join(extension.metric_lines())
        for metric in METRICS.values():
            self.assertIn(f"``{metric.name}``", text)
            self.assertIn(metric.help, text)
            for label in metric.labels:
                self.assertIn(f"``{label}``", text)
        self.assertIn(".. metrics::", (DOCS / "monitoring.rst").read_text())

    def test_topics_on_the_bus(self) -> None:
        text = "\n".join(extension.topic_lines())
        for topic in TOPICS:
            self.assertIn(f"``{topic.pattern}``", text)
            for method in topic.methods:
                self.assertIn(f"``{method}``", text)
        self.assertIn(".. topics::", (DOCS / "wire.rst").read_text())

    def test_the_sample_is_current(self) -> None:
        made = Path(self.mktemp())
        with contextlib.redirect_stderr(io.StringIO()):
            generator.main(["--namespace", "novnc_twisted", "--output-file", str(made)])
        self.assertEqual(
            (DOCS / "nova.conf.sample").read_text(),
            made.read_text(),
            "generate it again: oslo-config-generator --namespace novnc_twisted --output-file docs/nova.conf.sample",
        )

    def test_the_sample_can_be_read(self) -> None:
        _, warnings = read_configuration([str(DOCS / "nova.conf.sample")])
        self.assertEqual(warnings, [])

    def test_reports_of_the_benchmarks(self) -> None:
        table = "| a | b |\n|---|---|\n| 1 | 2_3 |"
        report = f"said\n\n## One\n\ntwo_words, *all*\n\n{table}\n\n### More\n\n* x_y\n\n## Other\nz\n"
        one = "\n".join(extension.measured_lines(report, "One"))
        for text in (
            "two\\_words, \\*all\\*",
            ".. list-table::",
            "   * - a\n     - b",
            "   * - 1\n     - 2\\_3",
            ".. rubric:: More",
        ):
            self.assertIn(text, one)
        self.assertIn("\n* x\\_y", one)
        for text in ("said", "z"):
            self.assertNotIn(text, one)
        self.assertIn("z", extension.measured_lines(report))
        self.assertRaises(KeyError, extension.measured_lines, report, "None")

    def test_interfaces_have_their_real_signatures(self) -> None:
        lines = extension.interface_lines("novnc_twisted.messaging.ITransport")
        self.assertIn("   .. py:method:: call(topic, method, /, *, deadline=5.0, **arguments)", lines)
        self.assertIn("   .. py:attribute:: store", lines)

    def test_changes_that_wait_and_changes_that_were_released(self) -> None:
        root = Path(self.mktemp())
        (root / "changelog.d").mkdir(parents=True)
        (root / "changelog.d" / "7.bugfix.1.md").write_text("It works\nagain.\n")
        (root / "CHANGES.md").write_text(
            "# Changes\n\n<!-- start -->\n\n## 1.0 (today)\n\n### Features\n\n- New. (#2)\n"
        )
        lines = [line for line in extension.change_lines(root) if line]
        self.assertEqual(
            lines,
            [
                ".. rubric:: Not released yet",
                "**Fixed**",
                "* It works again.",
                ".. rubric:: 1.0 (today)",
                "**Features**",
                "* New. (#2)",
            ],
        )


class Named(TestCase):
    """What pages name exists."""

    def test_links_of_the_readme(self) -> None:
        targets = re.findall(r"\]\((?!https?:)([^)#]+)", README.read_text())
        self.assertGreater(len(targets), 10)
        for target in targets:
            self.assertTrue((ROOT / target).exists(), target)

    def test_files_of_the_repository(self) -> None:
        for page in PAGES:
            for name in re.findall(
                r"(?<![\w/])((?:novnc_twisted|docs|contrib|changelog\.d|tests)/[\w./-]*\w)", page.read_text()
            ):
                self.assertTrue((ROOT / name).exists(), f"{page.name}: {name}")

    def test_targets_of_make(self) -> None:
        makefile = (ROOT / "Makefile").read_text()
        for page in PAGES:
            for target in re.findall(r"(?:^ {4}|`)make ([a-z-]+)", page.read_text(), re.M):
                self.assertRegex(makefile, rf"(?m)^{target}:", f"{page.name}: make {target}")

    def test_options(self) -> None:
        """``[group] name``, in Markdown's single backticks too, and the names before `` = `` in pieces of nova.conf."""
        for page in (*PAGES, DOCS / "_ext" / "advice.py"):
            text = re.sub(r'"\n +"', "", page.read_text())  # texts of a program that are split between two lines
            for group, name in re.findall(r"`\[(\w+)\] (\w+)", text):
                self.assertIn(name, [option.name for option in OPTIONS[group]], page.name)
            for piece in re.findall(r"(?:^|\n)( *)(\[DEFAULT\]\n.*?)(?=\n[^\s\[\w]|\nEOF|\n\S[^=\n]*\n)", text, re.S):
                self.check_piece(page.name, piece[1])

    def check_piece(self, page: str, piece: str) -> None:
        group = "DEFAULT"
        for line in piece.splitlines():
            if heading := re.fullmatch(r" *\[(\w+)\]", line):
                group = heading[1]
            elif assignment := re.match(r" *(\w+) = ", line):
                self.assertIn(assignment[1], [option.name for option in OPTIONS[group]], f"{page}: [{group}]")

    def test_limits(self) -> None:
        """The numbers of the groups for sessions, tokens and the API that are limits by their names."""
        text = (DOCS / "operations.rst").read_text()
        table = text[text.index("\nLimits\n") : text.index("\nA proxy process needs")]
        found = 0
        for group in ("console", "consoleauth", "api"):
            for option in OPTIONS[group]:
                if re.match(r"max_|.*_timeout$", option.name) and hasattr(option.type, "min"):
                    self.assertRegex(table, rf"\b{option.name}``", f"[{group}] {option.name}")
                    found += 1
        self.assertGreater(found, 5)

    def test_causes(self) -> None:
        """Names in the form of a cause, in double backticks, are causes or classes of the framework."""
        known = {*TABLE, *get_args(RefusalCause), "ConnectInfo"}
        text = (DOCS / "operations.rst").read_text()
        for name in re.findall(r"``([A-Z][a-z]+(?:[A-Z][a-z]+)+)``", text):
            self.assertIn(name, known)
        for name in get_args(RefusalCause):
            self.assertIn(f"``{name}``", text)

    def test_codes_in_prose(self) -> None:
        codes = {str(row.close_code) for row in TABLE.values()}
        for page in PAGES:
            for code in re.findall(r"(?<![\w-])4[45]\d\d(?![\w-])", page.read_text()):
                self.assertIn(code, codes, page.name)

    def test_deadlines_of_the_walk(self) -> None:
        settings = SessionSettings()
        self.assertIn(
            f"HTTP head {settings.head_deadline:g} s, token {settings.token_deadline:g} s,\n"
            f"dial {settings.dial_deadline:g} s, RFB on either side {settings.rfb_deadline:g} s, "
            f"and {settings.setup_deadline:g} s from accept",
            (DOCS / "walk.rst").read_text(),
        )


class Page(TestCase):
    """The console page's URL parameters."""

    LOCATION = ROOT / "novnc_twisted" / "web" / "src" / "location.js"

    def test_parameters(self) -> None:
        """The document lists those that the page reads, with all of their values."""
        source = self.LOCATION.read_text()
        read = set(re.findall(r"last\((?:query|page\.searchParams), '(\w+)'\)", source))
        page = (DOCS / "page.rst").read_text()
        table = page[page.index(".. _url-parameters:") : page.index("If a parameter is given several times")]
        rows = re.findall(r"^   \* - (``.*)\n     - ((?:.*\n)(?:       .*\n)*)", table, re.M)
        self.assertEqual({name for row, _ in rows for name in re.findall(r"``(\w+)=", row)}, read)
        texts = {re.findall(r"``(\w+)=", row)[0]: row + text for row, text in rows}
        pictures = re.findall(r"\['(\w+)', '\w+'\]", source)
        levels = re.findall(r"'(\w+)'", re.findall(r"\[([^]]*)\]\.includes\(logging\)", source)[0])
        yes = re.findall(r"'(\w+)'", re.findall(r"const YES = \[(.*)\]", source)[0])
        for name, values in (("resize", pictures), ("logging", levels), ("view_only", yes)):
            self.assertGreater(len(values), 2, name)
            for value in values:
                self.assertRegex(texts[name], rf"``(?:{name}=)?{value}``", f"{name}={value}")


class Architecture(TestCase):
    """The drawings of docs/architecture.rst are those of the code."""

    PAGE = DOCS / "architecture.rst"

    def test_packages_and_layers(self) -> None:
        rows = re.findall(r"^    (\d)  \|(.*)\|$", self.PAGE.read_text(), re.M)
        drawn = {name.strip(): int(layer) for layer, names in rows for name in names.split("|")}
        self.assertEqual(drawn, {name: layer for name, layer in LAYERS.items() if layer})

    def test_every_package_is_described(self) -> None:
        described = re.findall(r"^   \* - ``(\w+)``$", self.PAGE.read_text(), re.M)
        self.assertEqual(sorted(described), sorted(name for name, layer in LAYERS.items() if layer))

    def test_phases_of_a_session(self) -> None:
        """Each phase that the code sets is drawn, and documented for the record of a session."""
        drawn = re.findall(r"\[ ([a-z ]+) \]", self.PAGE.read_text())
        phases = set(phases_in(ROOT / "novnc_twisted" / "session"))
        self.assertEqual(sorted(drawn), sorted(phases))
        operations, glossary = (
            " ".join((DOCS / name).read_text().split()) for name in ("operations.rst", "glossary.rst")
        )
        listed = ", ".join(f"``{phase}``" for phase in drawn)
        self.assertIn(listed, operations)
        self.assertIn(listed, glossary)


def phases_in(folder: Path) -> Iterator[str]:
    """Every string that the modules of a folder assign to a name or an attribute ``phase``, or pass to ``enter()``."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                for target in node.targets:
                    if getattr(target, "attr", getattr(target, "id", "")) == "phase":
                        yield str(node.value.value)
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "enter":
                yield from (str(one.value) for one in node.args if isinstance(one, ast.Constant))


class Figures(TestCase):
    """The README's figures are those of the published report."""

    def test_table(self) -> None:
        text = README.read_text()
        shown = text[text.index(readme.BEGIN) + len(readme.BEGIN) : text.index(readme.END)]
        self.assertEqual(shown, readme.figures((DOCS / "performance" / "latest.md").read_text()))

    def test_update(self) -> None:
        path = Path(self.mktemp())
        path.write_text(f"before\n{readme.BEGIN}old\n{readme.END}after\n")
        report = (DOCS / "performance" / "latest.md").read_text()
        readme.update(path, report)
        self.assertEqual(path.read_text(), f"before\n{readme.BEGIN}{readme.figures(report)}{readme.END}after\n")
        self.assertRaises(KeyError, readme.figures, "### other (other)\n")


class Deployment(TestCase):
    """The README's steps, as far as they can be judged without running them."""

    WHO = ("every host", "api host", "one host", "controller", "compute1", "compute2", "compute")

    def setUp(self) -> None:
        self.blocks = re.findall(r"<!-- step: ([^>]+) -->\n```sh\n(.*?)```", README.read_text(), re.S)

    def test_each_block_names_its_host(self) -> None:
        self.assertEqual(len(self.blocks), README.read_text().count("<!-- step:"))
        for who, _ in self.blocks:
            self.assertIn(re.sub(" (package|systemd|copy)$", "", who), self.WHO)

    def test_units_exist_and_run_what_the_steps_install(self) -> None:
        units = {path.stem for path in (ROOT / "contrib" / "systemd").glob("*.service")}
        for who, block in self.blocks:
            for line in re.findall(r"systemctl enable --now (.*)", block):
                self.assertLessEqual(set(line.split()), units, who)
        for unit in units:
            text = (ROOT / "contrib" / "systemd" / f"{unit}.service").read_text()
            self.assertIn("/opt/novnc_twisted/bin/twistd", text)
            self.assertIn("--config-file /etc/nova/nova.conf", text)
            self.assertIn(f"User=novnc-{unit}", text)

    def test_each_nova_conf_is_understood(self) -> None:
        found = 0
        for who, block in self.blocks:
            for text in re.findall(r"/etc/nova/nova.conf <<'?EOF'?\n(.*?)EOF\n", block, re.S):
                path = Path(self.mktemp())
                path.write_text(text.replace("$MY_IP", "10.0.0.31"))
                conf, warnings = read_configuration([str(path)])
                self.assertEqual(warnings, [], who)
                self.assertEqual(conf.transport_url, "memory://")  # Redis is in the files of novnc-redis-acl
                Named.check_piece(self, who, text)  # type: ignore[arg-type]
                found += 1
        self.assertEqual(found, 3)


class Bytes(TestCase):
    """The bytes that the walk shows are those that the code says and understands."""

    PIXEL_FORMAT = bytes(range(16))

    def setUp(self) -> None:
        walk = (DOCS / "walk.rst").read_text()
        blocks = re.findall(r"::\n\n((?:    .*\n)*    [SPC]  .*\n(?:    .*\n)*)", walk)
        self.upstream, self.client, self.refusal = (self.read(block) for block in blocks)

    def read(self, block: str) -> list[tuple[str, bytes]]:
        """Who says which bytes; a line without a letter goes on with the one before."""
        said: list[tuple[str, bytes]] = []
        for line in block.splitlines():
            who, rest = line[4], line[7:].replace("PIXEL-FORMAT", self.PIXEL_FORMAT.hex(" "))
            shown = re.match(r"(?:[0-9a-f]{2} +)*[0-9a-f]{2}(?= |$)", rest)
            data = bytes.fromhex(shown[0]) if shown else rest.encode()
            if who != " ":
                said.append((who, data))
            else:
                said[-1] = (said[-1][0], said[-1][1] + data)
        return said

    def play(self, handshake: HandshakeDriver[Any], said: list[tuple[str, bytes]], peer: str) -> None:
        handshake.start()
        for who, data in said:
            if who == peer:
                handshake.receive(data)
            else:
                self.assertEqual(handshake.to_send(), data)
        self.assertIsNone(handshake.error)
        self.assertTrue(handshake.done)

    def test_both_handshakes(self) -> None:
        upstream = HandshakeDriver(login())
        self.play(upstream, self.upstream, "S")
        assert upstream.result is not None
        self.assertEqual((upstream.result.width, upstream.result.height), (720, 400))
        self.assertEqual(upstream.result.pixel_format, self.PIXEL_FORMAT)
        self.assertEqual(upstream.result.name, b"QEMU (myserver20)")
        *handshake, (_, init) = self.client
        self.play(HandshakeDriver(offer()), handshake, "C")
        self.assertEqual(init, ServerInit(720, 400, self.PIXEL_FORMAT, b"myserver20").encode())

    def test_a_refusal(self) -> None:
        self.play(HandshakeDriver(refuse(InstanceNotRunning.sentence)), self.refusal, "C")


class Output(ProcessProtocol):
    """A child that goes on; its first line."""

    def __init__(self) -> None:
        self.line: Deferred[str] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self._text = ""

    def outReceived(self, data: bytes) -> None:
        self._text += data.decode()
        if "\n" in self._text and not self.line.called:
            self.line.callback(self._text.splitlines()[0])

    errReceived = outReceived

    def processEnded(self, reason: Any) -> None:
        if not self.line.called:
            self.line.errback(AssertionError(self._text))
        self.ended.callback(None)


class Examples(TestCase):
    """The programs of docs/examples, as they stand."""

    timeout = 60

    async def server(self, **options: Any) -> tuple[FakeVNCServer, int]:
        server = FakeVNCServer(**options)
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(server)
        self.addCleanup(port.stopListening)
        return server, port.getHost().port

    async def test_who_is_there(self) -> None:
        _, port = await self.server(password="secret", size=(640, 480), name=b"myserver20")
        secret = Path(self.mktemp()).absolute()
        secret.write_text("secret\n")
        answer = await run(str(DOCS / "examples" / "who_is_there.py"), f"127.0.0.1:{port}", str(secret))
        self.assertEqual(answer, ("640 x 480: myserver20\n", "", 0))

    async def test_bus_in_memory_and_over_redis(self) -> None:
        expected = "{'greeting': 'Hello, you'}\nInstanceNotFound: nobody to greet\nServiceUnavailable: "
        for words in ([], [RedisServer(self).url]):
            out, err, code = await run(str(DOCS / "examples" / "bus.py"), *words)
            self.assertEqual((err, code), ("", 0))
            self.assertTrue(out.startswith(expected), out)

    async def test_redis_user_may_do_what_the_services_do(self) -> None:
        """``redis-acl.conf``, through everything that a transport asks of Redis; and it may do nothing else."""
        redis = RedisServer(self, options=tuple((DOCS / "examples" / "redis-acl.conf").read_text().splitlines()))
        url = redis.url.replace("//", "//novnc:redis-password@")
        caller, server = (transport_from_url(reactor, url) for _ in range(2))
        for transport in (caller, server):
            self.addCleanup(transport.stop)
            await transport.start()

        async def double(value: int) -> int:
            return 2 * value

        withdraw = await server.serve("t", {"double": double}, binary="nova-consoleauth", host="here")
        await server.announce("u", binary="nova-novncproxy", host="here")
        self.assertEqual(await caller.call("t", "double", value=21), 42)
        self.assertEqual([service.topic for service in await caller.services()], ["t", "u"])
        store = caller.store
        await store.put("a", {"b": 1}, 60, index="i")
        self.assertTrue(await store.put_new("c", {}, 60))
        self.assertEqual(await store.get("a"), {"b": 1})
        self.assertTrue(await store.extend("a", 100))
        self.assertEqual(await store.indexed("i"), ["a"])
        self.assertEqual(await store.remove("a", "c"), 2)
        await withdraw()
        with socket.create_connection(("127.0.0.1", redis.port), 5) as plain:
            stream = plain.makefile("rb")
            for words, answer in (
                (b"PING", b"-NOAUTH"),
                (b"AUTH novnc redis-password", b"+OK"),
                (b"GET elsewhere", b"-NOPERM"),
                (b"KEYS *", b"-NOPERM"),
                (b"MONITOR", b"-NOPERM"),
            ):
                plain.sendall(words + b"\r\n")
                self.assertTrue(stream.readline().startswith(answer), words)

    async def test_links(self) -> None:
        server, port = await self.server(size=(640, 480), name=b"QEMU (x)")
        child = Output()
        words = [sys.executable, str(DOCS / "examples" / "links.py"), f"127.0.0.1:{port}"]
        process = reactor.spawnProcess(child, words[0], words, env=ENVIRONMENT, path="/")  # type: ignore[attr-defined]
        try:
            link = await child.line
            found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/vnc_auto\.html\?token=(\S+)", link)
            assert found is not None, link
            name = await deferToThread(first_words, int(found[1]), found[2])
            self.assertEqual(name, b"example")
            await server.live.get()
            refused = await deferToThread(first_words, int(found[1]), "another")
            self.assertEqual(refused, InvalidToken.sentence.encode())
        finally:
            process.signalProcess("TERM")
            await child.ended


def first_words(port: int, token: str) -> bytes:
    """Return what a viewer with this token receives: the name in ServerInit, or the reason of its refusal."""
    with socket.create_connection(("127.0.0.1", port), 10) as viewer:
        viewer.sendall(
            f"GET /?token={token} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        stream = viewer.makefile("rb")
        assert stream.readline().startswith(b"HTTP/1.1 101 ")
        while stream.readline().strip():
            pass
        received = b""

        def read(count: int) -> bytes:
            nonlocal received
            while len(received) < count:
                head = stream.read(2)
                length = head[1] if head[1] < 126 else int.from_bytes(stream.read(2), "big")
                received += stream.read(length)
            taken, received = received[:count], received[count:]
            return taken

        def write(data: bytes) -> None:
            viewer.sendall(bytes([0x82, 0x80 | len(data), 0, 0, 0, 0]) + data)

        read(12)
        write(b"RFB 003.008\n")
        if read(1) == b"\0":
            return read(int.from_bytes(read(4), "big"))
        read(1)
        write(b"\1")
        read(4)
        write(b"\1")
        return read(int.from_bytes(read(24)[20:], "big"))
