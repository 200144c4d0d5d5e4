"""``novnc-reload``, and the control socket, on which the service answers."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from novnc_twisted.service.control import Control, ControlFactory, listen_for_reload, stop_listening
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.lifecycle import CommandService
from tests.support.logged import Logged


class ReloadTests(TestCase):
    """The command, against a control socket in this process."""

    timeout = 300

    def setUp(self) -> None:
        # The path of a unix socket has at most 107 bytes.
        self.folder = Path(os.path.relpath(self.mktemp()))
        self.folder.mkdir()
        self.patch(os, "environ", os.environ | {"RUNTIME_DIRECTORY": str(self.folder)})
        self.conf = self.folder / "nova.conf"
        self.conf.write_text("[DEFAULT]\n")
        self.reloads = 0
        self.outcome: Deferred[str | None] = succeed(None)
        self.take_overs: list[str] = []

    def reload(self, files: list[FlagFile] | None = None) -> Deferred[str | None]:
        self.reloads += 1
        self.files = {one.path: one.sections for one in files or ()}
        return self.outcome

    def take_over(self) -> Deferred[str]:
        return succeed(self.take_overs.pop(0))

    def listen(self) -> Any:
        port = listen_for_reload(reactor, self.reload, self.take_over)
        self.addCleanup(port.stopListening)
        return port

    async def command(self, *more: str) -> tuple[str, int]:
        """Return what it prints, and its exit code."""
        return await self.run_it("--config-file", str(self.conf), *more)

    async def run_it(self, *more: str) -> tuple[str, int]:
        words = ["-m", "novnc_twisted.service.reload", str(self.folder), *more]
        output, errors, code = await getProcessOutputAndValue(
            sys.executable, words, env=dict(os.environ) | {"PYTHONPATH": ":".join(sys.path)}
        )
        self.assertEqual(output, b"")
        return errors.decode(), code

    async def test_success(self) -> None:
        self.listen()
        self.assertEqual(await self.command(), ("", 0))
        self.assertEqual(self.reloads, 1)

    async def test_failure(self) -> None:
        """It prints the service's reason in one line, without control characters."""
        self.outcome = succeed("cert: no certificate (/etc/\x1bnova.pem)")
        self.listen()
        self.assertEqual(await self.command(), ("reload failed: cert: no certificate (/etc/?nova.pem)\n", 1))

    async def test_take_over(self) -> None:
        """The exit codes of a failure and of a service that supports no take-over differ."""
        self.take_overs = ["ok", "failed: cert: no certificate", "refused: transport_url is memory://"]
        self.listen()
        self.assertEqual(await self.run_it("--take-over"), ("", 0))
        self.assertEqual(await self.run_it("--take-over"), ("take-over failed: cert: no certificate\n", 1))
        self.assertEqual(await self.run_it("--take-over"), ("take-over failed: transport_url is memory://\n", 69))
        self.assertEqual((await self.command("--take-over"))[1], 2)
        self.assertEqual(self.reloads, 0)

    async def test_it_waits(self) -> None:
        """It ends when the service reports the outcome."""
        self.outcome = Deferred()
        asked: Deferred[None] = Deferred()
        reload = self.reload

        def noted(files: list[FlagFile] | None = None) -> Deferred[str | None]:
            asked.callback(None)
            return reload(files)

        self.reload = noted  # type: ignore[method-assign]
        self.listen()
        running = Deferred.fromCoroutine(self.command())
        await asked
        self.assertNoResult(running)
        self.outcome.callback(None)
        self.assertEqual(await running, ("", 0))

    async def test_a_bad_option(self) -> None:
        """The service gets no request."""
        self.listen()
        self.conf.write_text("[DEFAULT]\nworkers = many\n")
        errors, code = await self.command()
        self.assertEqual((errors.count("\n"), code, self.reloads), (1, 1, 0), errors)
        self.assertIn("workers", errors)

    async def test_optional_file(self) -> None:
        """It need not exist; if it does, it is checked."""
        self.listen()
        more = self.folder / "novncproxy.conf"
        self.assertEqual(await self.command("--optional-config-file", str(more)), ("", 0))
        more.write_text("[DEFAULT]\nworkers = many\n")
        self.assertEqual((await self.command("--optional-config-file", str(more)))[1], 1)

    async def test_an_optional_file_that_cannot_be_examined(self) -> None:
        """It may exist, so the service is not asked to read only the other files."""
        self.listen()
        errors, code = await self.command("--optional-config-file", "x" * 300)
        self.assertEqual((errors.count("\n"), code, self.reloads), (1, 1, 0), errors)
        self.assertIn("File name too long", errors)

    async def test_the_service_gets_the_files(self) -> None:
        """Their order is that of the command line, and their text is not that of systemd's stale copies."""
        self.listen()
        more, last = self.folder / "novncproxy.conf", self.folder / "last.conf"
        more.write_text("[console]\nmax_sessions = 7\n")
        last.write_text("[console]\nmax_sessions = 8\n")
        arguments = ("--optional-config-file", str(more), "--config-file", str(last))
        self.assertEqual(await self.command(*arguments), ("", 0))
        self.assertEqual(list(self.files), [str(self.conf), str(more), str(last)])
        self.assertEqual(self.files[str(last)]["console"], {"max_sessions": ["8"]})

    async def test_a_path_that_is_not_utf_8(self) -> None:
        self.listen()
        self.conf = self.conf.rename(self.folder / os.fsdecode(b"\x80.conf"))
        self.assertEqual(await self.command(), ("", 0))
        self.assertEqual(list(self.files), [f"{self.folder}/?.conf"])

    def test_requests(self) -> None:
        """An unknown request, or malformed files, have no effect."""
        wrong = (b"{", b"7", b"[1]", b'[["a"]]', b'[["a", 1]]', b'[["a", "\\ud800"]]', *map(self.deep, (1000, 100_000)))
        for request in (b"stop", b"", *(b"reload " + files for files in wrong)):
            protocol, transport = Control(), StringTransport()
            protocol.factory = ControlFactory(self.reload, self.take_over)
            protocol.makeConnection(transport)
            protocol.dataReceived(request + b"\n")
            self.assertEqual(transport.value(), b"failed: the only requests are: reload [FILES], take-over\n")
        self.assertEqual(self.reloads, 0)

    @staticmethod
    def deep(levels: int) -> bytes:
        """Return a pair whose path is a deeply nested list."""
        return b'[[%b%b, "text"]]' % (b"[" * levels, b"]" * levels)

    async def test_no_service_listens(self) -> None:
        errors, code = await self.command()
        self.assertEqual((errors.count("\n"), code), (1, 1), errors)
        self.assertIn("the service does not answer", errors)

    def test_socket(self) -> None:
        """Only its owner may open it; a file that a killed process has left is replaced."""
        (self.folder / "control").write_text("")
        self.listen()
        mode = (self.folder / "control").stat().st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)

    async def test_its_file_was_removed(self) -> None:
        """A take-over is finished nevertheless."""
        await self.hand_over()
        await stop_listening(None)

    async def test_its_file_cannot_be_removed(self) -> None:
        await self.hand_over(Path.mkdir)

    async def hand_over(self, replace: Callable[[Path], object] = lambda path: None) -> None:
        """Finish a take-over after the file of the control socket was removed and replaced."""
        port = listen_for_reload(reactor, self.reload, self.take_over)
        path = self.folder / "control"
        path.unlink()
        replace(path)
        service = CommandService(Clock(), [])
        service._control = port
        led: list[bool] = []
        await service._hand_over(4711, lambda: led.append(service.released))
        self.assertEqual(led, [True])

    async def test_the_pid_file(self) -> None:
        """It names the new process.  If it cannot be replaced, a log line says so, and the take-over is finished."""
        log, service = Logged(self), CommandService(Clock(), [])
        path = self.folder / "twistd.pid"
        for folder in (self.folder, self.folder / "none"):
            service.twistd = {"pidfile": str(folder / path.name)}
            await service._hand_over(4711, lambda: None)
        self.assertEqual(path.read_text(), "4711")
        (line,) = log.lines("could not be replaced")
        self.assertIn(f"{self.folder}/none/twistd.pid could not be replaced (No such file or directory)", line)
        self.assertIn("does not name the new process (pid 4711)", line)

    def test_a_folder_that_cannot_be_used(self) -> None:
        """The service starts nevertheless."""
        log = Logged(self)
        for folder in (self.folder / "none", self.folder / ("x" * 107), self.conf):
            self.patch(os, "environ", {"RUNTIME_DIRECTORY": str(folder)})
            self.assertIsNone(listen_for_reload(reactor, self.reload, self.take_over))
        self.assertEqual(len(log.lines("novnc-reload cannot reach this service")), 3)

    def test_without_a_folder(self) -> None:
        """Without systemd, there is no control socket."""
        self.patch(os, "environ", {})
        self.assertIsNone(listen_for_reload(reactor, self.reload, self.take_over))
