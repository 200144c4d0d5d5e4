"""The forms of log lines."""

import json
import os
import re
from typing import Any

from twisted.logger import Logger, LogLevel, formatEventAsClassicLogText, globalLogPublisher
from twisted.python import log as legacy
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service.log_format import json_line, oslo_line, text_line
from novnc_twisted.service.relayed_log import RelayedLog

# What kolla's fluentd looks for at the beginning of each event.
FLUENTD = re.compile(
    r"^(?P<Timestamp>\S+ \S+) (?P<Pid>\d+) (?P<log_level>\S+) (?P<python_module>\S+) "
    r"(\[(req-\S+ \S+ \S+ \S+ \S+ \S+|-)\])? (?P<Payload>.*)?$",
)
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"


def failure(log: Logger) -> None:
    try:
        raise ValueError("some reason")
    except ValueError:
        log.failure("it broke")


class FormTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[Any] = []
        self.log = Logger("novnc_twisted.session", observer=self.events.append)

    def oslo(self) -> list[str]:
        return "".join(oslo_line(event) or "" for event in self.events).splitlines()

    def json(self) -> dict[str, Any]:
        line = json_line(self.events[-1]) or ""
        self.assertEqual(line.count("\n"), 1)
        return json.loads(line)

    def test_text_is_as_twisted_formats_it(self) -> None:
        for level in LogLevel.iterconstants():
            self.log.emit(level, "a {thing}", thing="text")
            self.log.emit(level, "{summary}", summary="ended: {braces}, two\nlines")
            self.log.emit(level, "{summary}", summary="ended", log_system="a system")
        failure(self.log)
        legacy.addObserver(self.events.append)
        self.addCleanup(legacy.removeObserver, self.events.append)
        legacy.msg("an old message")
        self.assertEqual(list(map(text_line, self.events)), list(map(formatEventAsClassicLogText, self.events)))

    def test_oslo(self) -> None:
        for level in LogLevel.iterconstants():
            self.log.emit(level, "a {thing}", thing="text")
        found = [FLUENTD.match(line) for line in self.oslo()]
        self.assertEqual({one["log_level"] for one in found if one}, {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})
        for one in found:
            assert one is not None
            self.assertRegex(one["Timestamp"], f"^{STAMP}$")
            self.assertEqual(
                (one["Pid"], one["python_module"], one["Payload"]),
                (str(os.getpid()), "novnc_twisted.session", "a text"),
            )

    def test_oslo_lines_of_clients(self) -> None:
        """After a line break in a text, the line begins with a tab."""
        self.log.info("{text}", text="one\n2026-01-01 00:00:00.000 1 ERROR nova [-] two")
        self.assertEqual([line[:1] for line in self.oslo()], ["2", "\t"])

    def test_oslo_traceback(self) -> None:
        failure(self.log)
        first, *others = self.oslo()
        self.assertTrue(first.endswith("CRITICAL novnc_twisted.session [-] it broke"), first)
        self.assertGreater(len(others), 2)
        for line in others:
            self.assertRegex(line, rf"^{STAMP} \d+ ERROR novnc_twisted.session ")
        self.assertIn("ValueError: some reason", others[-1])

    def test_json(self) -> None:
        self.log.warn("{summary}", summary='a "text"\n', event="session", seconds=1.5, cause="Idle", time=3, log_x=1)
        found = self.json()
        self.assertRegex(found.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$")
        self.assertEqual(
            found,
            {
                "level": "warning",
                "namespace": "novnc_twisted.session",
                "pid": os.getpid(),
                "text": 'a "text"\n',
                "summary": 'a "text"\n',
                "event": "session",
                "seconds": 1.5,
                "cause": "Idle",
                "field_time": 3,
            },
        )

    def test_json_of_others(self) -> None:
        """Only events with the field ``event`` have fields of their own."""
        self.log.info("{what}", what="x")
        self.assertEqual(set(self.json()), {"time", "level", "namespace", "pid", "text"})

    def test_json_traceback(self) -> None:
        failure(self.log)
        found = self.json()
        self.assertEqual((found["text"], found["level"]), ("it broke", "critical"))
        self.assertIn("ValueError: some reason", found["exception"])

    def test_former_interface(self) -> None:
        """Messages of twisted.python.log, with and without a failure."""
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        legacy.msg("Starting factory", system="Port 1,2")
        try:
            raise KeyError("k")
        except KeyError:
            legacy.err(None, "why")
        self.flushLoggedErrors(KeyError)
        first, second, *others = self.oslo()
        self.assertTrue(first.endswith("INFO twisted [-] Starting factory"), first)
        self.assertTrue(second.endswith("CRITICAL twisted [-] why"), second)
        self.assertIn("KeyError", others[-1])

    def test_a_traceback_that_cannot_be_shown(self) -> None:
        class Odd:
            def getTraceback(self) -> str:
                raise RuntimeError

        self.log.error("text", log_failure=Odd())
        self.assertIn("RuntimeError", self.json()["exception"])

    def test_a_worker(self) -> None:
        """The process and the logger of a line are those of the worker."""
        report = {"time": 5.5, "level": "error", "system": "odd name", "namespace": "novnc_twisted.relay", "pid": 77}
        line = report | {"text": "t", "exception": "Traceback\nE: x", "fields": {"event": "session", "n": 7}}
        RelayedLog(3, self.events.append).received(json.dumps(line).encode() + b"\n")
        found = self.json()
        self.assertEqual(
            (found["worker"], found["pid"], found["namespace"], found["n"]), (3, 77, "novnc_twisted.relay", 7)
        )
        self.assertEqual((found["text"], found["exception"]), ("t", "Traceback\nE: x"))
        self.assertRegex(self.oslo()[0], rf"^{STAMP} 77 ERROR novnc_twisted\.relay \[-\] t$")
        self.assertEqual(len(self.oslo()), 3)
        self.assertEqual(self.events[0]["log_text"], "t\nTraceback\nE: x")
