"""What a reload does with the options: which of them change, and which need a restart."""

from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.consoleauth import ConsoleAuthManager
from novnc_twisted.service.configuration import read_configuration
from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.make_service import build
from novnc_twisted.service.reconfiguration import Reconfiguration, replaced
from novnc_twisted.service.sockets import Sockets
from tests.support.logged import Logged
from tests.support.twistd import free_port

BUS = "transport_url = redis://:secret@h"


class ReadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.write("")
        self.conf, _ = read_configuration([str(self.path)])
        self.options = Reconfiguration("novncproxy", Clock(), [str(self.path)], self.conf)

    def write(self, text: str) -> None:
        self.path.write_text(f"[DEFAULT]\n{BUS}\n{text}\n")

    def test_nothing_has_changed(self) -> None:
        changes = self.options.read()
        self.assertEqual((changes.reloaded, changes.restart), ([], []))

    def test_names(self) -> None:
        """A changed value that needs a restart is named at each reload, and never shown."""
        self.path.write_text("[DEFAULT]\ntransport_url = redis://:other@h\n[console]\nmax_sessions = 7\n")
        logged = Logged(self)
        for reloaded in (["[console] max_sessions"], []):
            changes = self.options.read()
            self.assertEqual((changes.reloaded, changes.restart), (reloaded, ["transport_url"]))
            self.options.use(changes, given=False)
            self.options.report(changes)
        self.assertEqual(len(logged.lines("in use only after a restart: transport_url")), 2)
        self.assertEqual(len(logged.lines("changed: [console] max_sessions")), 1)
        self.assertEqual(logged.lines("other@"), [])

    def test_a_mistake(self) -> None:
        """One line names a wrong value, or values that do not fit together, and nothing changes."""
        for text in ("[console]\nmax_sessions = many", "[console]\nproxy_protocol = true"):
            self.write(text)
            error = self.assertRaises(Unusable, self.options.read)
            self.assertIn(f"{self.path}:4: [console] ", str(error))
        self.write("")
        self.assertEqual(self.options.read().reloaded, [])

    def test_files_of_the_caller(self) -> None:
        """Files in a reload request replace those of the command line, also for later reloads and for a successor."""
        file = FlagFile.of_text("/etc/nova/nova.conf", f"{BUS}\n[console]\nmax_sessions = 9\n")
        self.assertEqual(self.options.files, [])
        self.options.use(self.options.read([file]), given=True)
        self.assertEqual((self.options.read().conf.console.max_sessions, self.options.files), (9, [file]))

    def test_options_of_the_command_line(self) -> None:
        """They stay in use; a new process reads its own command line, so it does not get them as a file."""
        command_line = FlagFile.of_command_line({("console", "max_sessions"): "7", ("DEFAULT", "web"): "/srv"})
        sources = [str(self.path), command_line]
        self.options = Reconfiguration("novncproxy", Clock(), sources, read_configuration(sources)[0])
        file = FlagFile.of_text("/etc/nova/nova.conf", f"{BUS}\n[console]\nmax_sessions = 9\nidle_timeout = 5\n")
        changes = self.options.read([file])
        self.assertEqual((changes.reloaded, changes.restart), (["[console] idle_timeout"], []))
        self.options.use(changes, given=True)
        self.assertEqual((self.options.read().conf.console.max_sessions, self.options.files), (7, [file]))
        # Workers get all files from their supervisor.
        worker = Reconfiguration("novncproxy", Clock(), [FlagFile.of_text("command line", "")], changes.conf)
        self.assertEqual(len(worker.read(changes.files).files), 2)

    def test_options_before_the_files(self) -> None:
        """The files of the command line override them, and so do the files in a reload request."""
        before, after = (FlagFile.of_command_line({("DEFAULT", "web"): path}) for path in ("/before", "/after"))
        file = FlagFile.of_text("/etc/nova/nova.conf", "")
        self.assertEqual(replaced([before, "a", after, "b"], [file]), [before, file, after])
        self.assertEqual(replaced([before, after], [file]), [file, before, after])


class UseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.logged = Logged(self)
        self.path = Path(self.mktemp())
        self.port = free_port()
        self.write("")
        conf, _ = read_configuration([str(self.path)])
        sockets = Sockets()
        self.service: Any = build("novncproxy", conf, Clock(), sockets, [])
        self.addCleanup(lambda: [one.close() for some in sockets.taken.values() for one in some])
        self.service.running = True
        self.service.configuration = Reconfiguration("novncproxy", Clock(), [str(self.path)], conf)

    def write(self, text: str) -> None:
        self.path.write_text(f"[DEFAULT]\n{BUS}\n[vnc]\nnovncproxy_port = {self.port}\n[console]\n{text}\n")

    def test_limits(self) -> None:
        self.write("max_sessions = 7\nmax_connections = 77\nmax_failures_per_minute = 5\ntrusted_proxies = 192.0.2.1")
        outcome = self.successResultOf(self.service.reload())
        context = self.service._context
        found = context.limits._max, context.proxy_connections.maximum, context.failures.limit
        self.assertEqual((found, outcome), ((7, 77, 5), None))

    def test_drain_timeout(self) -> None:
        self.write("[DEFAULT]\ndrain_timeout = 30")
        self.service.reload()
        self.assertEqual((self.service._context.shutdown.drain, self.service.drain_timeout), (30, 30))

    def test_during_the_shutdown(self) -> None:
        """The log names the new options once, and the shutdown keeps its time limit."""
        self.service.running = False
        self.write("max_sessions = 7\n[DEFAULT]\ndrain_timeout = 30")
        for _ in range(2):
            self.assertIsNone(self.successResultOf(self.service.reload()))
        self.assertEqual(len(self.logged.lines("changed: drain_timeout, [console] max_sessions")), 1)
        self.assertEqual((self.service._context.shutdown.drain, self.service.drain_timeout), (0, 30))

    def test_no_list_in_this_process(self) -> None:
        """Another program may listen on the API's port, so its pages must not be allowed to show consoles."""
        self.assertEqual(self.service._context.api_addresses, [])

    def test_a_mistake_changes_nothing(self) -> None:
        self.write("max_sessions = 7\nidle_timeout = never")
        self.assertIn("idle_timeout", self.successResultOf(self.service.reload()))
        self.assertEqual(self.service._context.limits._max, 0)
        (line,) = self.logged.lines("reload failed, the previous files stay in use")
        self.assertIn("idle_timeout", line)


class AllTests(SynchronousTestCase):
    def test_consoleauth_and_api(self) -> None:
        """The proxies know the address of the API, and a reload changes options of consoleauth."""
        path = Path(self.mktemp())
        api = free_port()
        port = f"osapi_compute_listen_port = {api}"
        vnc = f"[vnc]\nnovncproxy_port = {free_port()}\nxvpvncproxy_port = {free_port()}\n"
        path.write_text(f"{port}\n{vnc}[libvirt]\nconnection_uri = test:///default\n")
        conf, _ = read_configuration([str(path)])
        sockets = Sockets()
        service = build("console", conf, Clock(), sockets, [])
        self.addCleanup(lambda: [one.close() for some in sockets.taken.values() for one in some])
        self.assertEqual(service._context.api_addresses, [("127.0.0.1", api)])
        service.running = True
        service.configuration = Reconfiguration("console", Clock(), [str(path)], conf)
        path.write_text(f"{path.read_text()}[consoleauth]\nmax_tokens_per_server = 3\ntoken_ttl = 60\n")
        logged = Logged(self)
        changed: list[dict[str, Any]] = []
        self.patch(ConsoleAuthManager, "change", lambda _, **values: changed.append(values))
        self.assertIsNone(self.successResultOf(service.reload()))
        self.assertEqual([(each["token_ttl"], each["max_tokens_per_server"]) for each in changed], [(60, 3)])
        self.assertEqual(logged.lines("Traceback"), [])
        self.assertEqual(len(logged.lines("changed: [consoleauth] token_ttl, [consoleauth] max_tokens_per_server")), 1)
