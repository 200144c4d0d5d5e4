"""The log file, and where the log goes."""

import errno
import io
import itertools
import os
import signal
from pathlib import Path
from typing import Any
from unittest import mock

from oslo_config import cfg
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import FilteringLogObserver, Logger
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.lifecycle import CommandService
from novnc_twisted.service.log_file import LogFile
from novnc_twisted.service.log_output import LogSettings, output
from novnc_twisted.service.options.table import DEFAULT
from tests.support.logged import Logged


class LogFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.file = LogFile(str(self.path))
        self.addCleanup(lambda: self.file.close())

    def test_appended(self) -> None:
        self.file.write("one\n")
        self.file.write("two \udc80\n")
        self.assertEqual(self.path.read_text(), "one\ntwo \\udc80\n")
        other = LogFile(str(self.path))
        other.write("three\n")
        other.close()
        self.assertEqual(self.path.read_text().count("\n"), 3)

    def test_renamed(self) -> None:
        """As logrotate does with ``create`` and without it."""
        for create in (True, False):
            old = self.path.with_suffix(f".{create}")
            self.path.rename(old)
            if create:
                self.path.touch()
            self.file.write("new\n")
            self.assertEqual((self.path.read_text(), old.read_text().count("new")), ("new\n", 0 if create else 1))

    def test_truncated(self) -> None:
        """As logrotate does with ``copytruncate``."""
        self.file.write("old\n")
        os.truncate(self.path, 0)
        self.file.write("new\n")
        self.assertEqual(self.path.read_text(), "new\n")

    def test_a_path_that_is_lost(self) -> None:
        """The old file stays in use."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        file = LogFile(str(folder / "log"))
        self.addCleanup(file.close)
        folder.rename(folder.with_suffix(".old"))
        file.write("text\n")
        self.assertEqual((folder.with_suffix(".old") / "log").read_text(), "text\n")
        self.assertRaises(OSError, file.reopen)

    def test_reopen(self) -> None:
        self.path.unlink()
        self.file.reopen()
        self.assertTrue(self.path.exists())

    def test_a_full_disk(self) -> None:
        full = LogFile("/dev/full")
        full.write("lost\n")
        full.close()

    def test_a_pipe_without_reader(self) -> None:
        """It is refused, because opening it would wait for a reader."""
        path = self.mktemp()
        os.mkfifo(path)
        self.assertRaises(OSError, LogFile, path)

    def test_a_folder(self) -> None:
        self.assertRaises(IsADirectoryError, LogFile, "/")


class OutputTests(TestCase):
    def setUp(self) -> None:
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, signal.SIG_DFL))

    def settings(self, command: str = "novncproxy", **options: str) -> LogSettings:
        conf = cfg.ConfigOpts()
        conf.register_opts(DEFAULT)
        conf([], default_config_files=[], default_config_dirs=[])
        for name, value in options.items():
            conf.set_override(name, value)
        return LogSettings.of(command, conf)

    def test_paths(self) -> None:
        """The same as with oslo.log."""
        for command, options, path in (
            ("novncproxy", {}, None),
            ("novncproxy", {"log_dir": "/l"}, "/l/nova-novncproxy.log"),
            ("xvpvncproxy", {"log_dir": "/l"}, "/l/nova-xvpvncproxy.log"),
            ("consoleapi", {"log_dir": "/l"}, "/l/nova-api.log"),
            ("consolecompute", {"log_dir": "/l"}, "/l/nova-compute.log"),
            ("novncproxy", {"log_file": "x.log"}, "x.log"),
            ("novncproxy", {"log_file": "x.log", "log_dir": "/l"}, "/l/x.log"),
            ("novncproxy", {"log_file": "/a/x.log", "log_dir": "/l"}, "/a/x.log"),
            ("novncproxy", {"log_file": "", "log_dir": ""}, None),
        ):
            self.assertEqual(self.settings(command, **options).path, path)

    def test_a_file(self) -> None:
        path = Path(self.mktemp()).absolute()
        observer, file = output(self.settings(log_file=str(path), log_format="oslo"), io.StringIO())
        assert file is not None
        self.addCleanup(file.close)
        Logger("tests", observer=observer).info("text")
        self.assertRegex(path.read_text(), r"^20\S+ \S+ \d+ INFO tests \[-\] text\n$")

    def test_a_stream(self) -> None:
        stream = io.StringIO()
        observer, file = output(self.settings(log_format="json"), stream, {"nodaemon": True, "logfile": "-"})
        Logger("tests", observer=observer).info("text")
        self.assertIn('"text": "text"', stream.getvalue())
        self.assertIsNone(file)

    def test_the_options_of_twistd(self) -> None:
        """They override log_file."""
        settings = LogSettings(path="/nowhere/x")
        self.assertEqual(output(settings, io.StringIO(), {"nodaemon": True, "syslog": True}), (None, None))
        path = Path(self.mktemp())
        observer, file = output(settings, io.StringIO(), {"nodaemon": True, "logfile": str(path)})
        Logger("tests", observer=observer).info("text")
        self.assertRegex(path.read_text(), r"^20\S+ \[tests#info\] text\n$")
        self.assertIsNone(file)

    def test_another_observer(self) -> None:
        """With ``twistd --logger``, no file is opened, since the start would fail if it can't be opened."""
        for path in (None, "/nowhere/x"):
            for more in ({}, {"logfile": "/nowhere/y"}, {"nodaemon": True}):
                options = {"nodaemon": False, "logger": lambda: None} | more
                self.assertEqual(output(LogSettings(path=path), io.StringIO(), options), (None, None))

    def test_our_form_in_the_file_of_twistd(self) -> None:
        path = Path(self.mktemp()).absolute()
        observer, _ = output(LogSettings("json"), io.StringIO(), {"logfile": str(path)})
        assert isinstance(observer, FilteringLogObserver)
        Logger("tests", observer=observer).info("text")
        self.assertIn('"text": "text"', path.read_text())
        error = self.assertRaises(Unusable, output, LogSettings("json"), io.StringIO(), {"logfile": "/nowhere/x"})
        self.assertEqual(str(error), "--logfile: can't open /nowhere/x: No such file or directory")

    def test_two_processes_write_the_file_of_twistd(self) -> None:
        """As during a take-over."""
        path = Path(self.mktemp())
        observers = [output(LogSettings(), io.StringIO(), {"logfile": str(path)})[0] for _ in range(2)]
        for number in range(4):
            Logger("tests", observer=observers[number % 2]).info("line {number}", number=number)
        self.assertEqual([line[-6:] for line in path.read_text().splitlines()], [f"line {n}" for n in range(4)])

    def test_the_file_of_a_daemon(self) -> None:
        """A daemon and its successor write twistd.log.  With log_file or -n, this file does not exist."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(folder)
        daemon = {"nodaemon": False, "logfile": None}
        replaced = {"nodaemon": True, "daemon of the service": True, "logfile": None}
        for options, form in itertools.product((daemon, replaced), ("json", "text")):
            stream = io.StringIO()
            observer, _ = output(LogSettings(form), stream, options)
            Logger("tests", observer=observer).info("in this form: {form}", form=form)
            self.assertEqual(stream.getvalue(), "")
        lines = Path("twistd.log").read_text().splitlines()
        self.assertEqual([line.startswith("{") for line in lines], [True, False, True, False])
        self.assertEqual(output(LogSettings("json"), io.StringIO(), daemon | {"logfile": "-"}), (None, None))
        for options in (daemon, replaced):
            observer, file = output(LogSettings("json", "own.log"), io.StringIO(), options)
            assert file is not None
            self.addCleanup(file.close)
        Path("twistd.log").unlink()
        output(LogSettings("json"), io.StringIO(), {"nodaemon": True, "daemon of the service": False})
        self.assertFalse(Path("twistd.log").exists())

    async def test_sigusr1_rotates_the_file_of_twistd(self) -> None:
        """As without log_format; an existing handler of the signal is kept."""
        path = Path(self.mktemp()).absolute()
        output(LogSettings("json"), io.StringIO(), {"logfile": str(path)})
        handler = signal.getsignal(signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        await deferLater(reactor, 0, lambda: None)
        self.assertTrue(path.with_name(f"{path.name}.1").exists())
        output(LogSettings("json"), io.StringIO(), {"logfile": str(path)})
        self.assertIs(signal.getsignal(signal.SIGUSR1), handler)

    def test_what_cannot_be_opened(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)  # noqa: PTH102
        for options, line in (
            ({"log_dir": "/nowhere"}, "log_dir: can't open /nowhere/nova-novncproxy.log: No such file or directory"),
            ({"log_file": "/nowhere/x"}, "log_file: can't open /nowhere/x: No such file or directory"),
            ({"log_file": f"/{'x' * 300}"}, f"log_file: can't open /{'x' * 300}: File name too long"),
            ({"log_file": folder}, f"log_file: can't open {folder}: Is a directory"),
        ):
            settings = self.settings(**options)
            for use in (settings.check, settings.open):
                self.assertEqual(str(self.assertRaises(Unusable, use)), line)

    def test_the_user_has_no_right(self) -> None:
        """As after --uid, if the new process of a take-over opens the file that root has made."""
        denied = PermissionError(errno.EACCES, "Permission denied")
        hint = f"Permission denied; the user of this process (uid {os.geteuid()}) needs the right to write this file"
        with mock.patch("twisted.python.logfile.LogFile.fromFullPath", side_effect=denied):
            for options in ({"nodaemon": True, "daemon of the service": True}, {"logfile": "twistd.log"}):
                error = self.assertRaises(Unusable, output, LogSettings(), io.StringIO(), options)
                self.assertEqual(str(error), f"--logfile: can't open {Path.cwd()}/twistd.log: {hint}")
        with mock.patch("os.open", side_effect=denied):
            error = self.assertRaises(Unusable, self.settings(log_file="/l/x").open)
        self.assertEqual(str(error), f"log_file: can't open /l/x: {hint}")

    def test_a_check_creates_nothing(self) -> None:
        path = Path(self.mktemp())
        self.settings(log_file=str(path)).check()
        self.assertFalse(path.exists())


class HangUpTests(SynchronousTestCase):
    """SIGHUP opens the log file again."""

    def test_both_outcomes(self) -> None:
        class Reloaded(CommandService):
            def reload(self, files: Any = None) -> Deferred[str | None]:
                return succeed("reloaded")

        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        logged = Logged(self)
        service = Reloaded(None, [])
        self.assertEqual(self.successResultOf(service.reopen_and_reload()), "reloaded")
        service.log_file = LogFile(str(folder / "log"))
        self.addCleanup(service.log_file.close)
        (folder / "log").unlink()
        self.assertEqual(self.successResultOf(service.reopen_and_reload()), "reloaded")
        self.assertTrue((folder / "log").exists())
        folder.rename(folder.with_suffix(".old"))
        self.assertEqual(self.successResultOf(service.reopen_and_reload()), "reloaded")
        self.assertIn(
            f"can't open {folder}/log again, the previous log file stays in use: No such file", "".join(logged.lines())
        )
