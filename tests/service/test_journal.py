"""The log for systemd's journal, and the watchdog's interval."""

import io
import os
import socket
import sys

from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import Logger, LogLevel, globalLogPublisher
from twisted.python import log as legacy
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted.service.journal import connected_to_journal, error_line, log_observer
from novnc_twisted.service.log_format import FORMATS
from novnc_twisted.service.notify import watchdog_interval


class Stream(io.StringIO):
    """A stream whose descriptor is that of one end of a pair of sockets, as systemd gives it to a service."""

    def __init__(self, case: SynchronousTestCase) -> None:
        super().__init__()
        self._socket, other = socket.socketpair()
        case.addCleanup(self._socket.close)
        case.addCleanup(other.close)
        found = os.fstat(self._socket.fileno())
        self.name_in_environment = f"{found.st_dev}:{found.st_ino}"

    def fileno(self) -> int:
        return self._socket.fileno()


class JournalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stream = Stream(self)
        self.patch(os, "environ", {"JOURNAL_STREAM": self.stream.name_in_environment})

    def logged(self, level: LogLevel, text: str) -> str:
        """Log an event, and return all that the stream has."""
        observer = log_observer(self.stream)
        Logger("tests", observer=observer).emit(level, "{text}", text=text)
        return self.stream.getvalue()

    def test_priorities(self) -> None:
        """Each level has a priority, which replaces the time stamp."""
        for level in LogLevel.iterconstants():
            self.logged(level, level.name)
        self.assertEqual(
            sorted(self.stream.getvalue().splitlines()),
            [
                "<2>[tests#critical] critical",
                "<3>[tests#error] error",
                "<4>[tests#warn] warn",
                "<6>[tests#info] info",
                "<7>[tests#debug] debug",
            ],
        )

    def test_lines(self) -> None:
        """Each has the priority of its event; a text from outside can't change it."""
        self.assertEqual(self.logged(LogLevel.warn, "one\n\n<0>two"), "<4>[tests#warn] one\n<4><0>two\n")

    def test_traceback(self) -> None:
        """Each of its lines has the priority."""
        observer = log_observer(self.stream)
        try:
            raise ValueError("some reason")
        except ValueError:
            Logger("tests", observer=observer).failure("it broke")
        lines = self.stream.getvalue().splitlines()
        self.assertGreater(len(lines), 3)
        self.assertEqual({line[:3] for line in lines}, {"<2>"})

    def test_other_forms(self) -> None:
        """Their lines have a priority, too."""
        for form, begin in (("json", "{"), ("oslo", "20")):
            observer = log_observer(self.stream, FORMATS[form])
            Logger("tests", observer=observer).warn("text")
            line = self.stream.getvalue().splitlines()[-1]
            self.assertTrue(line.startswith(f"<4>{begin}"), line)

    def test_elsewhere(self) -> None:
        """If JOURNAL_STREAM is not this stream, lines have time stamps."""
        os.environ["JOURNAL_STREAM"] = "8:1"
        self.assertRegex(
            self.logged(LogLevel.warn, "said"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* \[tests#warn\] said\n$"
        )
        self.assertFalse(connected_to_journal(io.StringIO()))

    def test_plugin_cache(self) -> None:
        """Twisted's message that it can't write its cache is dropped, with the journal and without it."""
        for environ in (os.environ, {}):
            self.patch(os, "environ", environ)
            observer = log_observer(self.stream)
            globalLogPublisher.addObserver(observer)
            self.addCleanup(globalLogPublisher.removeObserver, observer)
        remark = "Unable to write to plugin cache %(path)s: error number %(errno)d"
        legacy.msg(format=remark, path="/opt/dropin.cache", errno=30)
        legacy.msg("another")
        self.assertEqual(self.stream.getvalue().count("\n"), 2)
        self.assertNotIn("cache", self.stream.getvalue())

    def test_error_line(self) -> None:
        """It has a priority if standard error goes to the journal."""
        self.assertEqual(error_line("wrong", self.stream), "<3>wrong")
        os.environ.clear()
        self.assertEqual(error_line("wrong", self.stream), "wrong")


class CommandTests(TestCase):
    """The log of ``twistd``, on a pipe that JOURNAL_STREAM names."""

    timeout = 300

    async def test_twistd(self) -> None:
        """Twisted's own lines have a priority, too; with twistd's --logfile, standard output stays empty."""
        script = (
            "import os, sys; found = os.fstat(1); "
            "os.environ['JOURNAL_STREAM'] = f'{found.st_dev}:{found.st_ino}'; "
            "sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; "
            "from twisted.internet import reactor; reactor.callWhenRunning(reactor.callLater, 0, reactor.stop); run()"
        )
        conf = self.mktemp()
        with open(conf, "w") as file:  # noqa: PTH123
            file.write("[DEFAULT]\ntransport_url = redis://127.0.0.1:1/0\n")
        outputs = []
        for option in ((), (f"--logfile={self.mktemp()}.log",)):
            words = ["-c", script, "-n", "--pidfile=", *option, "consoleauth", "--config-file", conf]
            output, _, _ = await getProcessOutputAndValue(sys.executable, words, env=os.environ)
            outputs.append(output.decode())
        lines = outputs[0].splitlines()
        self.assertGreater(len(lines), 2)
        for line in lines:
            self.assertRegex(line, r"^<[2-7]>")
        self.assertEqual(outputs[1], "")


class WatchdogIntervalTests(SynchronousTestCase):
    """sd_watchdog_enabled(3)."""

    def test_interval(self) -> None:
        """None: the watchdog is off, or meant for another process."""
        own = str(os.getpid())
        for environ, seconds in (
            ({}, None),
            ({"WATCHDOG_USEC": "30000000"}, 30.0),
            ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": own}, 0.5),
            ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
            ({"WATCHDOG_USEC": "0"}, None),
            ({"WATCHDOG_USEC": "soon"}, None),
        ):
            self.patch(os, "environ", environ)
            self.assertEqual(watchdog_interval(), seconds)
