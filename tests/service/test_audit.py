"""The options of the audit trail, and when it is opened."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from novnc_twisted.events.records import TokenUsed
from novnc_twisted.service.audit import make_trail, open_trail
from novnc_twisted.service.exits import Unusable
from tests.service.test_checks import CheckCase


class AuditTests(CheckCase):
    def errors(self, text: str) -> list[str]:
        found: list[str] = self.examine(f"[audit]\n{text}\n").errors
        return found

    def trail(self, **options: Any) -> Any:
        conf = SimpleNamespace(host="control1", audit=SimpleNamespace(**({"file": None, "syslog": False} | options)))
        trail = make_trail("novncproxy", conf, Clock())
        if trail is not None:
            self.addCleanup(trail.close)
        return trail

    def test_a_file_that_can_be_made(self) -> None:
        self.assertEqual(self.errors(f"file = {self.folder}/audit"), [])
        self.assertFalse((self.folder / "audit").exists())

    def test_one_line(self) -> None:
        for text in ("audit", "./audit", "/var/log/", ""):
            [line] = self.errors(f"file = {text}")
            self.assertIn("[audit] file: ", line)
        [line] = self.errors(f"file = {self.folder}")
        self.assertIn(f"[audit] file: {self.folder} is a folder", line)
        [line] = self.errors(f"file = {self.folder}/none/audit")
        self.assertIn(f"[audit] file: the folder {self.folder}/none does not exist", line)

    def test_a_path_that_cannot_be_examined(self) -> None:
        """For example, because this user may not search the folder above; here, because a name is too long."""
        long = "x" * 300
        for path, examined in ((f"/{long}", f"/{long}"), (f"/{long}/audit", f"/{long}/audit")):
            [line] = self.errors(f"file = {path}")
            self.assertRegex(line, rf":\d+: \[audit\] file: can't examine {examined}: File name too long$")

    def test_unset(self) -> None:
        self.assertIsNone(self.trail())

    def test_written(self) -> None:
        path = self.folder / "audit"
        trail = self.trail(file=str(path))
        self.successResultOf(Deferred.fromCoroutine(open_trail(trail)))
        trail(TokenUsed())
        entry = json.loads(path.read_text())
        self.assertEqual((entry["service"], entry["host"]), ("novncproxy", "control1"))

    def test_a_file_that_cannot_be_opened(self) -> None:
        """The start fails with an error that names the option."""
        path = self.folder / "pipe"
        os.mkfifo(path)
        for wrong in (path, Path("/nonexistent/audit")):
            error = self.failureResultOf(Deferred.fromCoroutine(open_trail(self.trail(file=str(wrong)))), Unusable)
            self.assertIn("[audit] file: can't open it: ", str(error.value))

    def test_no_syslog_daemon(self) -> None:
        """The start goes on, because the daemon may start later."""
        trail = self.trail(syslog=True)
        trail._targets[0].to._path = str(self.folder / "none")
        self.successResultOf(Deferred.fromCoroutine(open_trail(trail)))
