"""The Debian package: its contents, and its life cycle under a real systemd."""

import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.packages.debian import fresh_machine, newer, package
from tests.support.machine import Machine
from tests.test_systemd import UNITS, commands

NOVA_CONF = """[DEFAULT]
transport_url = memory://
[libvirt]
connection_uri = test:///default
[monitoring]
listen = 127.0.0.1:9200
"""

PROXY_CONF = """[vnc]
novncproxy_host = 127.0.0.1
[consoleauth]
backend = token_plugin
token_plugin = TokenFile
token_source = /etc/nova/tokens
"""


def output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class ContentsTests(SynchronousTestCase):
    def test_files(self) -> None:
        """All files belong to root; programs that nova also installs are only in /opt."""
        lines = [line.split(maxsplit=5) for line in output("dpkg-deb", "--contents", str(package())).splitlines()]
        self.assertEqual({line[1] for line in lines}, {"root/root"})
        names = {line[5].partition(" -> ")[0].removeprefix(".").rstrip("/") for line in lines}
        programs = {name for name in names if name.startswith("/usr/bin/")}
        self.assertEqual(programs, {"/usr/bin/novnc-redis-acl", "/usr/bin/novnc-reload"})
        wanted = {f"/usr/lib/systemd/system/{path.name}" for path in UNITS.iterdir()}
        wanted |= {f"/etc/nova/{command}.conf" for command in commands()}
        wanted |= {f"/opt/novnc_twisted/bin/{name}" for name in ("python", "twistd", "nova-novncproxy")}
        wanted |= {"/usr/share/man/man8/novncproxy.8.gz", "/usr/share/doc/novnc-twisted/copyright"}
        self.assertEqual(wanted - names, set())
        self.assertEqual({name for name in names if name.startswith(("/etc/nova/nova.conf", "/etc/systemd"))}, set())

    def test_lintian(self) -> None:
        """It reports only what contrib/debian/lintian-overrides explains."""
        self.assertEqual(output("lintian", "--fail-on", "error,warning", str(package())), "")


class LifeTests(SynchronousTestCase):
    """Install, use, upgrade, remove and purge the package."""

    def state(self, host: Machine, name: str) -> str:
        return host.show("console", name)

    def healthy(self, host: Machine) -> None:
        host.until(lambda: host.attempt("curl --silent --fail http://127.0.0.1:9200/healthz").returncode == 0)

    def test_life(self) -> None:
        upgrade = str(newer())  # built first, so that the machine has the file
        host = fresh_machine()
        self.addCleanup(host.close)
        host.run(f"dpkg --install {package()}")
        host.run(*(f"test -x /opt/novnc_twisted/bin/{name}" for name in ("twistd", "nova-novncproxy")))
        units = {path.name for path in UNITS.iterdir()}
        enabled = host.run(f"systemctl is-enabled {' '.join(sorted(units))} || true").split()
        self.assertEqual(set(enabled), {"disabled"})
        listed = host.run("systemctl list-units --plain --no-legend --state=active").split()
        self.assertEqual(units & set(listed), set())

        host.write("/etc/nova/nova.conf", NOVA_CONF, mode="600")
        host.run("echo 'drain_timeout = 0' >> /etc/nova/console.conf")
        host.run("/opt/novnc_twisted/bin/twistd -n console --config-file /etc/nova/nova.conf --check-config")
        host.run(
            "groupadd --system --force libvirt", "systemctl enable --now console"
        )  # libvirt-daemon-system creates the group
        self.healthy(host)
        before = self.state(host, "MainPID")

        host.run(f"dpkg --install {upgrade}")
        self.assertEqual(self.state(host, "ActiveState"), "active")
        self.assertNotEqual(self.state(host, "MainPID"), before)
        self.healthy(host)
        self.assertIn("drain_timeout", host.run("cat /etc/nova/console.conf"))
        # With memory://, the service supports no take-over.
        self.assertEqual(host.run("pgrep --full --count 'twistd.* console '").strip(), "1")

        host.run("dpkg --remove novnc-twisted")
        self.assertNotEqual(self.state(host, "ActiveState"), "active")
        host.run("test ! -e /opt/novnc_twisted", "grep -q drain_timeout /etc/nova/console.conf")

        host.run(f"dpkg --install {package()}", "systemctl start console")
        self.healthy(host)
        host.run("dpkg --purge novnc-twisted")
        left = host.run(
            "find /etc/nova /etc/default /opt/novnc_twisted /usr/lib/systemd/system -type f || true"
        ).split()
        self.assertEqual([name for name in left if "nova" in name or "novnc" in name], ["/etc/nova/nova.conf"])
        self.assertEqual(host.run("dpkg-query --show novnc-twisted 2>&1 || true").count("\t"), 0)

    def test_an_upgrade_during_a_session(self) -> None:
        """A new process takes over, and the session goes on; if the new process cannot start, the old one continues."""
        upgrade = str(newer())
        host = fresh_machine()
        self.addCleanup(host.close)
        host.run(f"dpkg --install {package()}")
        host.write("/etc/nova/nova.conf", PROXY_CONF)
        host.write("/etc/nova/tokens", "secret: 127.0.0.1:5999\n", mode="644")
        host.write("/run/session.py", (Path(__file__).parent / "session.py").read_text())
        host.run("systemctl start novncproxy", "systemd-run --quiet --unit=server python3 /run/session.py server 5999")
        host.until(lambda: host.attempt("ss --listening --tcp --no-header | grep -q :5999").returncode == 0)
        host.run("systemd-run --quiet --unit=viewer python3 /run/session.py viewer 6080 secret /run/updates")

        def updates() -> int:
            return int(host.run("cat /run/updates || echo 0").strip() or 0)

        host.until(lambda: updates() > 0)
        first = host.show("novncproxy", "MainPID")
        self.assertIn("novncproxy: the new version has taken over", host.run(f"dpkg --install {upgrade}"))
        second = host.show("novncproxy", "MainPID")
        self.assertNotEqual(second, first)
        before = updates()
        host.until(lambda: updates() > before)
        host.run(
            f"kill -0 {first}", "systemctl is-active viewer", "curl --silent --fail http://127.0.0.1:6080/vnc_auto.html"
        )

        host.run("mv /etc/nova/tokens /etc/nova/gone")
        printed = host.run(f"dpkg --install {upgrade} 2>&1")
        self.assertIn("novncproxy continues with the previous version (take-over failed: ", printed)
        self.assertEqual(host.show("novncproxy", "MainPID"), second)
        before = updates()
        host.until(lambda: updates() > before)
        host.run("systemctl stop novncproxy")
        host.until(lambda: host.show("viewer", "ActiveState") != "active")
