"""The units of contrib/systemd under a real systemd, on one machine that has all services and Redis with roles.

The machine (:mod:`tests.support.machine`) is booted once for all tests; each leaves all services running.
"""

import re
import shlex

from tests.integration.systemd_case import AUTHORITY, NOVA_CONF, PROXIES, SERVICES, SystemdCase, put_credential
from tests.test_systemd import EXPOSURE

CERTIFICATE = "import ssl, sys; print(ssl.get_server_certificate(('127.0.0.1', int(sys.argv[1]))), end='')"
"""Prints the certificate of a port."""

PAGE = "curl --silent --show-error --insecure --fail --max-time 60 https://127.0.0.1:6080/vnc_auto.html"


SESSION = """
import sys, time
from novnc_twisted.session.table_rows import LIVE, Row, encode
row = Row("0" * 32, "0" * 64, "novnc", "192.0.2.7", "alice", "red", "", "vm", "live", started_at=time.time() - 9)
open(sys.argv[1], "r+b").write(encode(row, LIVE))
"""
"""Writes a live session into a proxy's table."""


class LifeTests(SystemdCase):
    """Starts, configuration errors, and services that hang."""

    def test_all_start(self) -> None:
        """Each service runs as its own user, and they work together: libvirt, Redis, the page and the API answer."""
        for unit in SERVICES:
            self.assertTrue(self.active(unit), unit)
            user = self.machine.run(f"ps -o user:32= -p {self.pid(unit)}").strip()
            self.assertEqual(user, f"novnc-{unit}")
        self.machine.until(lambda: bool(self.said("consolecompute", "connected to libvirt at qemu:///system")))
        self.assertIn("<html", self.machine.run(PAGE))
        status = (
            "curl --silent --insecure --output /dev/null --write-out '%{http_code}' https://127.0.0.1:8774/v2.1/servers"
        )
        self.assertEqual(self.machine.run(status), "401")

    def test_all_in_one(self) -> None:
        """``console`` replaces the others; its environment file is missing here, and is optional."""
        self.addCleanup(self.machine.run, f"systemctl start {' '.join(SERVICES)}")
        self.machine.run("systemctl start console")
        self.assertEqual([unit for unit in SERVICES if self.active(unit)], [])
        user = self.machine.run(f"ps -o user:32= -p {self.pid('console')}").strip()
        self.assertEqual(user, "novnc-console")
        self.assertIn("<html", self.machine.run(PAGE))
        self.machine.run("systemctl reload console")

    def test_a_mistake_in_the_configuration(self) -> None:
        """The service logs one line and exits with code 78; systemd does not restart it."""
        path = "/etc/nova/xvpvncproxy.conf"
        good = self.machine.run(f"cat {path}")
        self.addCleanup(self.machine.run, "systemctl reset-failed xvpvncproxy", "systemctl restart xvpvncproxy")
        self.addCleanup(self.machine.write, path, good, mode="600")
        before = self.lines("xvpvncproxy")
        self.machine.write(path, f"{good}\n[console]\nmax_sessions = many\n", mode="600")
        self.assertNotEqual(self.machine.attempt("systemctl restart xvpvncproxy").returncode, 0)
        properties = ("ActiveState", "Result", "ExecMainStatus", "NRestarts")
        found = [self.machine.show("xvpvncproxy", name) for name in properties]
        self.assertEqual(found, ["failed", "exit-code", "78", "0"])
        (line,) = self.said("xvpvncproxy", "max_sessions", before)
        self.assertEqual((line["PRIORITY"], line["SYSLOG_IDENTIFIER"]), ("3", "xvpvncproxy"))

    def test_a_service_that_hangs(self) -> None:
        """systemd restarts a service that hangs, and no other."""
        self.drop_in("consoleauth", "WatchdogSec=5")
        self.drop_in("consoleapi", "WatchdogSec=5")
        hung, other = self.pid("consoleauth"), self.pid("consoleapi")
        self.machine.run(f"kill -STOP {hung}")
        self.machine.until(lambda: self.pid("consoleauth") not in (0, hung) and self.active("consoleauth"))
        self.assertGreaterEqual(int(self.machine.show("consoleauth", "NRestarts")), 1)
        self.assertEqual(self.pid("consoleapi"), other)

    def test_a_worker_that_hangs(self) -> None:
        """Only that worker is restarted; the other one continues to run."""
        self.drop_in("novncproxy", "WatchdogSec=6")
        before = self.lines("novncproxy")
        first = self.pid("novncproxy")
        worker, other = self.machine.run(f"cat /proc/{first}/task/{first}/children").split()
        self.machine.run(f"kill -STOP {worker}")
        self.machine.until(lambda: bool(self.said("novncproxy", "has not answered", before)))
        (line,) = self.said("novncproxy", f"(pid {worker}) has not answered", before)
        self.assertEqual(line["PRIORITY"], "3")
        self.machine.until(lambda: bool(self.said("novncproxy", "is ready (pid", before)))
        self.assertEqual((self.pid("novncproxy"), self.machine.show("novncproxy", "NRestarts")), (first, "0"))
        self.assertIn(other, self.machine.run(f"cat /proc/{first}/task/{first}/children").split())

    def test_a_proxy_is_killed_as_a_whole(self) -> None:
        """systemd keeps the folder and restarts the proxy, which logs the lost sessions and removes their tables."""
        for unit in PROXIES:  # only novncproxy has workers
            before, first = self.lines(unit), self.pid(unit)
            tables = set(self.machine.run(f"ls /run/novnc-{unit}/sessions-*").split())
            for table in tables:
                self.machine.run(f"python -c {shlex.quote(SESSION)} {table}")
            self.machine.run(f"systemctl kill --signal=KILL {unit}")
            self.machine.until(lambda: self.pid(unit) not in (0, first) and self.active(unit))  # noqa: B023
            lines = self.said(unit, "the proxy was killed or has crashed", before)
            self.assertEqual(len(lines), len(tables), unit)
            self.assertEqual(tables & set(self.machine.run(f"ls /run/novnc-{unit}/sessions-*").split()), set())
            self.machine.run(f"systemctl stop {unit}")
            self.assertEqual(self.machine.run(f"ls -A /run/novnc-{unit}").split(), [])
            self.machine.run(f"systemctl start {unit}")

    def test_take_over(self) -> None:
        """SIGUSR2 to all processes of a unit replaces the main process; the new one is watched, reloaded and ended."""
        first, before = self.pid("novncproxy"), self.lines("novncproxy")
        self.machine.run("systemctl kill --signal=USR2 novncproxy")
        self.machine.until(lambda: self.pid("novncproxy") not in (0, first))
        second = self.pid("novncproxy")
        self.machine.until(lambda: self.machine.attempt(f"kill -0 {first}").returncode != 0)
        self.assertIn("<html", self.machine.run(PAGE))
        self.machine.run("systemctl reload novncproxy")
        found = [self.machine.show("novncproxy", name) for name in ("ActiveState", "NRestarts", "MainPID")]
        self.assertEqual(found, ["active", "0", str(second)])
        # The only warning of the processes is the one about base_url.
        lines = [one["MESSAGE"] for one in self.machine.journal("novncproxy.service")[before:] if one["PRIORITY"] < "5"]
        self.assertEqual([line for line in lines if "base_url" not in line], [])
        self.machine.run("systemctl restart novncproxy")
        self.assertNotEqual(self.pid("novncproxy"), second)

    def test_sockets(self) -> None:
        """With a socket unit, a request during a restart waits, and is answered."""
        self.machine.run("systemctl stop novncproxy")
        self.addCleanup(self.machine.run, "systemctl stop novncproxy.socket", "systemctl restart novncproxy")
        self.machine.run("systemctl start novncproxy.socket")
        self.assertFalse(self.active("novncproxy"))
        self.assertIn("<html", self.machine.run(PAGE))
        self.machine.until(lambda: self.active("novncproxy"))  # one of its workers may answer before all are ready

    def test_take_over_with_a_socket_unit(self) -> None:
        """The new process accepts on systemd's socket, which stays open during a later restart."""
        self.machine.run("systemctl stop novncproxy", "systemctl start novncproxy.socket", "systemctl start novncproxy")
        self.addCleanup(self.machine.run, "systemctl stop novncproxy novncproxy.socket", "systemctl start novncproxy")
        first = self.pid("novncproxy")
        self.machine.run("systemctl kill --signal=USR2 novncproxy")
        self.machine.until(lambda: self.pid("novncproxy") not in (0, first))
        self.machine.until(lambda: self.machine.attempt(f"kill -0 {first}").returncode != 0)
        self.assertIn("<html", self.machine.run(PAGE))
        self.assertTrue(self.active("novncproxy.socket"))
        self.assertEqual(self.machine.show("novncproxy", "NRestarts"), "0")
        self.machine.run("systemctl restart --no-block novncproxy")
        self.assertIn("<html", self.machine.run(PAGE))

    def test_take_over_of_a_compute_host(self) -> None:
        """consolecompute hands over, too, though only one process serves a host at a time."""
        first = self.pid("consolecompute")
        self.machine.run("systemctl kill --signal=USR2 consolecompute")
        self.machine.until(lambda: self.pid("consolecompute") not in (0, first))
        self.machine.until(lambda: self.machine.attempt(f"kill -0 {first}").returncode != 0)
        self.assertTrue(self.active("consolecompute"))
        self.assertEqual(self.machine.show("consolecompute", "NRestarts"), "0")


class ReloadTests(SystemdCase):
    """``systemctl reload``."""

    def certificate(self, port: int) -> str:
        """The certificate that a port presents now."""
        return self.machine.run(f"python -c {shlex.quote(CERTIFICATE)} {port}")

    def reload(self, unit: str) -> int:
        """Reload a unit, and return the exit code."""
        return self.machine.attempt(f"systemctl reload {unit}").returncode

    def test_every_service(self) -> None:
        """The reload succeeds even without a certificate, and keeps the process."""
        pids = [self.pid(unit) for unit in SERVICES]
        self.machine.run(f"systemctl reload {' '.join(SERVICES)}")
        self.assertEqual([self.pid(unit) for unit in SERVICES], pids)

    def test_certificates(self) -> None:
        """After a reload, a new certificate is in use.  With an invalid one, the reload fails and changes nothing."""
        for unit, port, name, group in (
            ("novncproxy", 6080, "proxy", "novnc-proxy"),
            ("xvpvncproxy", 6081, "proxy", "novnc-proxy"),
            ("consoleapi", 8774, "api", "novnc-consoleapi"),
        ):
            pid = self.pid(unit)
            good = AUTHORITY.issue("127.0.0.1")
            self.assertNotEqual(self.certificate(port), good.cert.decode())
            put_credential(self.machine, good, name, group)
            self.assertEqual(self.reload(unit), 0)
            # Any of the workers may accept a connection.
            self.assertEqual({self.certificate(port) for _ in range(6)}, {good.cert.decode()})

            before = self.lines(unit)
            self.machine.write(f"/etc/nova/tls/{name}.pem", "no certificate", mode="640", owner=f"root:{group}")
            self.assertNotEqual(self.reload(unit), 0)
            self.assertEqual(self.certificate(port), good.cert.decode())
            self.assertEqual((self.pid(unit), self.active(unit)), (pid, True))
            errors = [line for line in self.machine.journal(f"{unit}.service")[before:] if line["PRIORITY"] == "3"]
            self.assertEqual(len(errors), 1, errors)
            self.assertIn(f"/etc/nova/tls/{name}.pem", errors[0]["MESSAGE"])
            put_credential(self.machine, good, name, group)

    def test_an_option(self) -> None:
        """The configuration is checked first: with an error in it, the service is not reloaded."""
        self.addCleanup(self.machine.write, "/etc/nova/nova.conf", NOVA_CONF, mode="600")
        self.machine.write("/etc/nova/nova.conf", f"{NOVA_CONF}lockout_failures = many\n", mode="600")
        before = self.lines("consoleapi")
        self.assertNotEqual(self.reload("consoleapi"), 0)
        self.assertTrue(self.active("consoleapi"))
        (line,) = self.machine.journal("consoleapi.service")[before:]
        self.assertIn("lockout_failures", line["MESSAGE"])
        self.assertEqual((line["PRIORITY"], line["SYSLOG_IDENTIFIER"]), ("3", "consoleapi"))


class JournalTests(SystemdCase):
    """The journal of the services and of their workers."""

    def test_lines(self) -> None:
        """Lines have a priority, the service's name and one time stamp; none is about Twisted's plugin cache."""
        for unit in SERVICES:
            entries = self.machine.journal(f"{unit}.service")
            self.assertTrue([one for one in entries if f"{unit} is ready" in one["MESSAGE"] and one["PRIORITY"] == "6"])
            self.assertEqual({one["SYSLOG_IDENTIFIER"] for one in entries}, {unit})
            for one in entries:
                self.assertNotRegex(one["MESSAGE"], r"^<\d>|\d\d:\d\d:\d\d|plugin cache|Traceback")
        workers = [one for one in self.said("novncproxy", "[worker ") if one["PRIORITY"] == "6"]
        self.assertEqual({re.findall(r"\[worker (\d)", one["MESSAGE"])[0] for one in workers}, {"1", "2"})

    def test_a_warning(self) -> None:
        """The first line of a service and of a worker about a lost Redis is a warning."""
        before = {unit: self.lines(unit) for unit in SERVICES}
        self.machine.run("systemctl stop redis-server")
        self.addCleanup(self.machine.run, "systemctl start redis-server")
        for unit in ("consoleauth", "novncproxy"):
            self.machine.until(lambda unit=unit: bool(self.said(unit, "Redis", before[unit])))  # type: ignore[misc]
            line = self.said(unit, "Redis", before[unit])[0]
            self.assertEqual(line["PRIORITY"], "4", line["MESSAGE"])


class ProtectionTests(SystemdCase):
    """A compromised service cannot attack others on its machine."""

    def test_exposure(self) -> None:
        """The running units pass ``systemd-analyze security`` with our threshold."""
        for unit in SERVICES:
            judged = self.machine.attempt(f"systemd-analyze security --threshold={EXPOSURE * 10:.0f} {unit}")
            self.assertEqual(judged.returncode, 0, judged.stdout)

    def test_no_service_can_use_what_belongs_to_another(self) -> None:
        """Each service's user tries all files, credentials, control sockets and processes; it can use only its own."""
        pids = {unit: self.pid(unit) for unit in SERVICES}
        for thief in SERVICES:
            allowed, forbidden = self.places(thief, pids)
            answers = self.attempt_as(thief, [*allowed, *forbidden])
            for command, answer in zip(allowed, answers[: len(allowed)], strict=True):
                self.assertEqual(answer, "", f"{thief} may: {command}")
            for command, answer in zip(forbidden, answers[len(allowed) :], strict=True):
                self.assertRegex(answer, "Permission denied|not permitted", f"{thief} may not: {command}")

    def places(self, thief: str, pids: dict[str, int]) -> tuple[list[str], list[str]]:
        """Return commands that must succeed for a service, without output, and commands that must fail."""
        own = [f"cat /run/credentials/{thief}.service/nova.conf > /dev/null", f"kill -0 {pids[thief]}"]
        others = [
            *(f"cat /etc/nova/{name}.conf > /dev/null" for name in ("nova", *SERVICES)),
            "ls /etc/redis-users > /dev/null",
            "cat /etc/redis/users.acl > /dev/null",
        ]
        (own if thief == "consoleapi" else others).append("cat /etc/nova/users /etc/nova/tls/api.key > /dev/null")
        (own if thief in PROXIES else others).append("cat /etc/nova/tls/proxy.key > /dev/null")
        for unit, pid in pids.items():
            if unit == thief:
                continue
            others += [
                f"ls /run/credentials/{unit}.service > /dev/null",
                f"cat /run/credentials/{unit}.service/{unit}.conf > /dev/null",
                f"ls /run/novnc-{unit} > /dev/null",
                f"novnc-reload /run/novnc-{unit}",
                f"kill -0 {pid}",
                *(f"cat /proc/{pid}/{name} > /dev/null" for name in ("environ", "maps", "mem")),
                *(f"ls /proc/{pid}/{name}/ > /dev/null" for name in ("fd", "root", "cwd")),
            ]
        return own, others

    def attempt_as(self, unit: str, commands: list[str]) -> list[str]:
        """Run commands as the user of a unit, with the unit's groups; return the output and errors of each."""
        user = f"novnc-{unit}"
        groups = f"$(id -G {user} | tr ' ' ',')"
        for group in self.machine.show(unit, "SupplementaryGroups").split():
            groups += f",$(getent group {group} | cut -d: -f3)"
        script = "".join(f"( {command} ) 2>&1\nprintf '\\0'\n" for command in commands)
        become = f"setpriv --reuid={user} --regid={user} --groups={groups}"
        answers = self.machine.run(f"{become} bash -c {shlex.quote(script)}").split("\0")
        return [answer.strip() for answer in answers[:-1]]
