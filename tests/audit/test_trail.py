"""The audit trail in a file and in syslog, and what happens if they can't be written."""

import errno
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.audit import AuditFile, AuditTrail, Syslog
from novnc_twisted.events.records import TokenRefused, TokenUsed
from novnc_twisted.events.refused import RequestRefused

ORIGIN = {"service": "novncproxy", "host": "control1"}

# Appends 300 entries of the maximum length.
_WRITER = """
import sys
from novnc_twisted.audit.entries import MAX_LINE
from novnc_twisted.audit.file import AuditFile
file = AuditFile(sys.argv[1])
file.open()
for number in range(300):
    file.write((sys.argv[2] * (MAX_LINE - 1) + "\\n").encode())
"""


class TrailCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "audit"
        self.clock = Clock()
        self.logged: list[Any] = []
        globalLogPublisher.addObserver(self.logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged.append)

    def begin(self, **to: Any) -> None:
        self.trail = AuditTrail(self.clock, **to, origin=ORIGIN, now=lambda: 1700000000.0)
        self.addCleanup(self.trail.close)

    def entries(self, path: Path | None = None) -> list[str]:
        """Return the names of the events in the file."""
        return [json.loads(line)["event"] for line in (path or self.path).read_text().splitlines()]

    def lines(self) -> list[str]:
        return [f"{event['log_level'].name}: {formatEvent(event)}" for event in self.logged]


class FileTests(TrailCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = AuditFile(str(self.path))
        self.begin(file=self.file)

    def test_an_entry_is_written_at_once(self) -> None:
        self.trail.open()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.trail(TokenUsed(user_id="u"))
        self.assertEqual(self.entries(), ["token.used"])
        self.trail(TokenRefused(cause="InvalidToken"))
        self.trail(RequestRefused(service="novncproxy", cause="BadRequest", address=""))
        self.assertEqual(self.entries(), ["token.used", "token.refused"])
        uids = {json.loads(line)["uid"] for line in self.path.read_text().splitlines()}
        self.assertEqual(len(uids), 2)

    def test_appended(self) -> None:
        self.path.write_text('{"event":"older"}\n')
        self.trail(TokenUsed())
        self.assertEqual(self.entries(), ["older", "token.used"])

    def test_rotated(self) -> None:
        """After the file was renamed or removed, entries go to a new one, even without a signal."""
        self.trail(TokenUsed())
        old = self.path.rename(self.folder / "old")
        self.trail.reopen()
        self.assertEqual(self.path.read_text(), "")
        self.trail(TokenUsed())
        self.path.unlink()
        self.trail(TokenUsed())
        self.assertEqual((self.entries(old), self.entries()), (["token.used"], ["token.used"]))
        self.assertEqual(self.logged, [])

    def test_a_torn_line(self) -> None:
        """After an incomplete line, for example because of a crash, the next entry begins on a new line."""
        self.path.write_text('{"event":"ol')
        self.trail(TokenUsed())
        torn, line = self.path.read_text().splitlines()
        self.assertEqual((torn, json.loads(line)["event"]), ('{"event":"ol', "token.used"))

    def test_a_full_disk(self) -> None:
        """An error is logged once a minute; later, an entry has the number of lost entries."""
        self.trail.open()
        full = OSError(errno.ENOSPC, "No space left on device")
        with mock.patch("os.write", side_effect=full):
            for _ in range(3):
                self.trail(TokenUsed())
            self.clock.advance(60)
            self.trail(TokenUsed())
        self.trail(TokenRefused(cause="InvalidToken"))
        gap, refused = map(json.loads, self.path.read_text().splitlines())
        self.assertEqual((gap["event"], gap["entries"], gap["code"]), ("audit.gap", 4, "NA900"))
        self.assertEqual(refused["event"], "token.refused")
        first, second, recovered = self.lines()
        self.assertRegex(first, r"^error: .*/audit: No space left on device; entries lost so far: 1;")
        self.assertIn("; entries lost so far: 4;", second)
        self.assertRegex(recovered, r"^info: .* again; entries lost: 4$")
        self.assertEqual({event["log_namespace"] for event in self.logged}, {"novnc_twisted.audit"})

    def test_a_disk_that_is_full_until_the_end(self) -> None:
        """The number of lost entries is written to the trail, or logged if that fails, too."""
        full = OSError(errno.ENOSPC, "No space left on device")
        with mock.patch("os.write", side_effect=full):
            self.trail(TokenUsed())
            self.trail(TokenUsed())
        self.trail.close()
        self.assertEqual(self.entries(), ["audit.gap"])
        with mock.patch("os.write", side_effect=full):
            self.trail(TokenUsed())
            self.trail(TokenUsed())
            self.trail.close()
        self.assertEqual(self.entries(), ["audit.gap"])
        self.assertRegex(
            self.lines()[-1], r"^error: the process ends, and .*/audit still can't be written; entries missing .*: 2$"
        )
        self.trail.close()
        self.assertRegex(self.lines()[-1], r"still can't be written; .*: 2$")

    def test_a_disk_that_takes_a_part(self) -> None:
        """After a partial write, ``audit.gap`` and the next entry follow on new lines."""
        self.trail.open()
        write = os.write
        with mock.patch("os.write", lambda handle, data: write(handle, data[:10])):
            self.trail(TokenUsed())
        self.trail(TokenUsed())
        part, *entries = self.path.read_text().splitlines()
        self.assertEqual(len(part), 10)
        self.assertEqual([json.loads(line)["event"] for line in entries], ["audit.gap", "token.used"])

    def test_not_a_regular_file(self) -> None:
        self.assertRaises(OSError, AuditFile("/dev/full").open)
        os.mkfifo(self.folder / "pipe")
        self.assertRaises(OSError, AuditFile(str(self.folder / "pipe")).open)
        self.assertRaises(OSError, AuditFile(str(self.folder)).open)

    def test_reopening_fails(self) -> None:
        """The previous file stays in use."""
        self.trail(TokenUsed())
        old = self.path.rename(self.folder / "old")
        self.path.mkdir()
        self.trail.reopen()
        [line] = self.lines()
        self.assertIn("can't be written to", line)
        self.trail(TokenUsed())
        self.assertEqual(self.entries(old), ["token.used"])
        self.path.rmdir()
        self.trail(TokenUsed())
        self.assertEqual(self.entries(), ["audit.gap", "token.used"])

    def test_processes_that_write_at_the_same_time(self) -> None:
        """Processes that share a file, such as workers, write whole lines."""
        letters = "abcd"
        writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(self.path), letter]) for letter in letters]
        self.assertEqual([writer.wait(240) for writer in writers], [0] * 4)
        lines = self.path.read_bytes().splitlines()
        self.assertEqual(len(lines), 1200)
        self.assertEqual({(len(line), len(set(line))) for line in lines}, {(4095, 1)})
        self.assertEqual({sum(line[:1] == letter.encode() for line in lines) for letter in letters}, {300})


class SyslogTests(TrailCase):
    def setUp(self) -> None:
        super().setUp()
        self.address = f"/tmp/novnc-audit-{os.getpid()}"
        self.addCleanup(Path(self.address).unlink, missing_ok=True)
        self.daemon = self.listen()
        self.begin(syslog=Syslog("control 1", "novncproxy", self.address))

    def listen(self) -> socket.socket:
        Path(self.address).unlink(missing_ok=True)
        daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(daemon.close)
        daemon.bind(self.address)
        daemon.setblocking(False)
        return daemon

    def received(self) -> dict[str, Any]:
        """Return the entry of the next message, after a check of the header (RFC 5424)."""
        message = self.daemon.recv(65536).decode()
        header = rf"<(\d+)>1 2023-11-14T22:13:20\.000000Z control_1 novncproxy {os.getpid()} (\w+) - (.*)"
        found = re.fullmatch(header, message)
        assert found is not None, message
        entry: dict[str, Any] = json.loads(found[3])
        self.assertEqual(entry["code"], found[2])
        return entry | {"priority": int(found[1])}

    def test_a_process_that_became_a_daemon(self) -> None:
        """Messages have the id of the new process, although twistd makes the services before it forks."""
        self.patch(os, "getpid", lambda: 4711)
        self.trail(TokenUsed(user_id="u"))
        self.assertEqual(self.received()["event"], "token.used")

    def test_messages(self) -> None:
        self.trail(TokenUsed(user_id="u"))
        self.trail(TokenRefused(cause="InvalidToken"))
        used, refused = self.received(), self.received()
        self.assertEqual((used["event"], used["user"], used["priority"]), ("token.used", "u", 86))
        self.assertEqual((refused["event"], refused["priority"]), ("token.refused", 84))

    def test_a_daemon_that_is_restarted(self) -> None:
        self.trail(TokenUsed())
        self.daemon.close()
        self.daemon = self.listen()
        self.trail(TokenUsed())
        self.assertEqual(self.received()["event"], "token.used")
        self.assertEqual(self.logged, [])

    def test_no_daemon(self) -> None:
        self.daemon.close()
        Path(self.address).unlink()
        self.trail.open()
        for _ in range(2):
            self.trail(TokenUsed())
        [line] = self.lines()
        self.assertRegex(line, r"^error: the audit trail can't be written to /tmp/novnc-audit-\d+: No such file")
        self.daemon = self.listen()
        self.trail(TokenUsed())
        gap = self.received()
        self.assertEqual((gap["event"], gap["entries"], self.received()["event"]), ("audit.gap", 2, "token.used"))

    def test_a_daemon_that_hangs(self) -> None:
        """It never blocks a session."""
        for _ in range(100_000):
            self.trail(TokenUsed())
            if self.logged:
                break
        [line] = self.lines()
        self.assertIn("Resource temporarily unavailable", line)
