"""``nova-novncproxy`` and ``nova-xvpvncproxy``, with nova's own options."""

import os
import shutil
import signal
import sys
import tempfile
from itertools import permutations
from pathlib import Path

from oslo_config import cfg
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted.service.configuration import read_all
from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.nova_script import CommandLine
from tests.service.test_nova_backend import FILES, FLAVOURS, filled
from tests.service.test_workers import Notified
from tests.support.openstack import PASSWORD, FakeOpenStack
from tests.support.twistd import Twistd, free_port
from tests.support.viewer import Viewers
from tests.support.vnc_server import FakeVNCServer

SCRIPTS = Path(sys.executable).parent


class CommandLineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.found: list[str] = []
        self.folders: list[str] = []
        self.patch(cfg, "find_config_files", lambda project, program: [f"{one}/{program}" for one in self.found])
        self.patch(cfg, "find_config_dirs", lambda project, program: self.folders)

    def line(self, *arguments: str) -> CommandLine:
        return CommandLine("nova-novncproxy", arguments)

    def folder(self, *names: str) -> str:
        path = Path(self.mktemp())
        path.mkdir()
        for name in names:
            (path / name).touch()
        return str(path)

    def files(self, *arguments: str) -> list[str]:
        return [one for one in self.line(*arguments).sources if isinstance(one, str)]

    def test_options_of_nova(self) -> None:
        """With underscores and hyphens, with the group and without, with = and without; the last one wins."""
        line = self.line(
            *("--ssl_only", "--cert", "c.pem", "--key=k.pem", "--web", "/usr/share/novnc", "--debug", "--nodebug"),
            *("--novncproxy_host", "10.0.0.1", "--vnc-novncproxy_port=6090", "--log-file", "a", "--logfile=b_c"),
            *("--log_dir", "/l", "--vnc-vencrypt_ca_certs", "ca.pem", "--auth_schemes", "vencrypt,none"),
        )
        self.assertEqual(
            {
                f"{group}.{name}": value
                for source in line.sources
                for group, keys in source.sections.items()
                for name, [value] in keys.items()
            },
            {
                "DEFAULT.ssl_only": "true",
                "DEFAULT.cert": "c.pem",
                "DEFAULT.key": "k.pem",
                "DEFAULT.web": "/usr/share/novnc",
                "DEFAULT.debug": "false",
                "DEFAULT.log_file": "b_c",
                "DEFAULT.log_dir": "/l",
                "vnc.novncproxy_host": "10.0.0.1",
                "vnc.novncproxy_port": "6090",
                "vnc.vencrypt_ca_certs": "ca.pem",
                "vnc.auth_schemes": "vencrypt,none",
            },
        )
        self.assertEqual(line.warnings, [])

    def test_they_win_over_files(self) -> None:
        path = Path(self.mktemp())
        path.write_text("[DEFAULT]\nssl_only = true\n[vnc]\nnovncproxy_port = 7000\n")
        line = self.line("--config-file", str(path), "--nossl_only", "--web", " a 'b' # c ")
        read = read_all(line.sources)
        self.assertEqual((read.errors, read.conf.vnc.novncproxy_port), ([], 7000))
        self.assertEqual((read.conf.ssl_only, read.conf.web), (False, " a 'b' # c "))

    def test_a_bad_value(self) -> None:
        read = read_all(self.line("--novncproxy_port", "x").sources)
        self.assertEqual(read.errors, ["command line: [vnc] novncproxy_port: a whole number is needed, not 'x'"])

    def test_files_of_oslo_config(self) -> None:
        """The default files without --config-file, the default folders without --config-dir."""
        self.found, self.folders = ["/etc/nova"], [self.folder("b.conf", "a.conf", "c.txt", ".d.conf"), "/nowhere"]
        default = [f"{self.folders[0]}/a.conf", f"{self.folders[0]}/b.conf"]
        own = self.folder("z.conf")
        self.assertEqual(self.files(), ["/etc/nova/nova-novncproxy", *default])
        self.assertEqual(self.files("--config-file", "x", "--config-file=y"), [*default, "x", "y"])
        self.assertEqual(self.files("--config-dir", own), ["/etc/nova/nova-novncproxy", f"{own}/z.conf"])
        self.assertEqual(self.files("--config-file", "~/x", "--config-dir", own)[0], str(Path("~/x").expanduser()))

    def test_the_order_of_the_command_line(self) -> None:
        """Files, folders and options override what comes before them, as in oslo.config."""
        folder, file = self.folder(), Path(self.mktemp())
        (Path(folder) / "a.conf").write_text("[DEFAULT]\nweb = /folder\ndebug = true\n")
        file.write_text("[DEFAULT]\nweb = /file\ndebug = false\n")
        parts = ("--config-dir", folder), ("--config-file", str(file)), ("--web", "/line", "--debug")
        for count in (1, 2, 3):
            for order in permutations(parts, count):
                for self.folders in ([], [folder]):
                    arguments = [word for part in order for word in part]
                    real = cfg.ConfigOpts()
                    real.register_cli_opts([cfg.StrOpt("web"), cfg.BoolOpt("debug", default=False)])
                    real(arguments, default_config_files=[], default_config_dirs=self.folders)
                    conf = read_all(self.line(*arguments).sources).conf
                    self.assertEqual((conf.web, conf.debug), (real.web, real.debug), arguments)

    def test_options_without_effect(self) -> None:
        line = self.line("-v", "--verbose", "--use-journal", "--nouse-syslog", "--log-config", "x", "--source_is_ipv6")
        self.assertEqual(
            line.warnings,
            [
                "options of nova that have no effect here: --verbose, --use-journal, --use-syslog, "
                "--log-config-append, --source-is-ipv6"
            ],
        )
        self.assertEqual(line.sources, [])

    def test_what_is_refused(self) -> None:
        for arguments, words in (
            (["--daemon"], "--daemon: this program stays in the foreground"),
            (["--record", "x"], "--record: sessions are not recorded"),
            (["--record=x"], "--record: "),
            (["--config-dir", "/nowhere"], "--config-dir /nowhere: it is not a folder"),
            (["--config-dir", "x" * 300], f"--config-dir: can't examine {'x' * 300}: File name too long"),
            (["--confg-file", "x"], "--confg-file"),
            (["argument"], "argument"),
            (["--cert"], "--cert"),
            (["--ssl_only=1"], "--ssl-only"),
        ):
            self.assertIn(words, str(self.assertRaises(Unusable, self.line, *arguments)))


class ScriptTests(TestCase):
    timeout = 300

    def script(self, name: str, *arguments: str, **spawn: object) -> Twistd:
        process = Twistd(name)
        words = [str(SCRIPTS / name), *arguments]
        process.process = reactor.spawnProcess(process, words[0], words, **{"env": None, "path": "/", **spawn})
        self.addCleanup(process.stop)
        return process

    def conf(self, text: str) -> str:
        path = Path(self.mktemp()).absolute()
        path.write_text(text)
        return str(path)

    async def test_four_files_of_operators(self) -> None:
        """With each file, the script serves a console, writes its log where nova would, and exits with 0."""
        cloud = FakeOpenStack.start(self)
        vnc = reactor.listenTCP(0, FakeVNCServer(), interface="127.0.0.1")
        self.addCleanup(vnc.stopListening)
        folder = Path(tempfile.mkdtemp())  # a unix socket's path must be short
        self.addCleanup(shutil.rmtree, folder)
        running = []
        for flavour in FLAVOURS:
            (folder / flavour).mkdir()
            port, ready = free_port(), Notified()
            values = {
                "AUTH_URL": f"{cloud.url}/identity",
                "PASSWORD": PASSWORD,
                "PORT": str(port),
                "LOG_DIR": str(folder / flavour),
            }
            listening = reactor.listenUNIXDatagram(str(folder / f"{flavour}.notify"), ready)
            self.addCleanup(listening.stopListening)
            more = self.conf("[DEFAULT]\nlog_format = oslo\n")
            process = self.script(
                "nova-novncproxy",
                *("--config-file", self.conf(filled((FILES / f"nova-{flavour}.conf").read_text(), values))),
                *("--config-file", more, "--log-dir", str(folder / flavour), "--verbose"),
                env=os.environ | {"NOTIFY_SOCKET": str(folder / f"{flavour}.notify")},
            )
            running.append((flavour, port, ready, process))
        token = cloud.add_console(vnc.getHost().port)
        for flavour, port, ready, process in running:
            await first(ready.ready, process.ended)
            viewer = await Viewers(self).open(f"http://127.0.0.1:{port}/vnc_lite.html?token={token}")
            viewer.leave()
            self.assertEqual(await process.stop(signal.SIGTERM), 0)
            self.assertEqual(process.output, "")
            log = (folder / flavour / "nova-novncproxy.log").read_text()
            self.assertRegex(log, r"(?m)^20\S+ \S+ \d+ INFO novnc_twisted\.session \[-\] novnc console of myserver20")
            self.assertIn("no effect here: --verbose", log)
            self.assertNotIn(token, log)
            self.assertNotIn(PASSWORD, log)

    async def test_mistakes(self) -> None:
        """One line is printed, and the exit code is 78."""
        wrong = [
            self.script("nova-novncproxy", "--config-file", "/nowhere/nova.conf"),
            self.script("nova-xvpvncproxy", "--record", "x"),
            self.script("nova-novncproxy", "--config-file", self.conf("[DEFAULT]\nlog_dir = /nowhere\n" + REDIS)),
        ]
        codes = await gatherResults([process.ended for process in wrong])
        outputs = [process.output for process in wrong]
        self.assertEqual((codes, [text.count("\n") for text in outputs]), ([78] * 3, [1] * 3), outputs)
        self.assertEqual(
            outputs[2],
            "nova-novncproxy: log_dir: can't open /nowhere/nova-novncproxy.log: No such file or directory\n",
        )


REDIS = f"transport_url = redis://127.0.0.1:1\n[vnc]\nnovncproxy_host = 127.0.0.1\nnovncproxy_port = {free_port()}\n"


async def first(*waits: Deferred) -> None:
    """Wait until one of them fires."""
    from twisted.internet.defer import DeferredList

    await DeferredList(list(waits), fireOnOneCallback=True)
