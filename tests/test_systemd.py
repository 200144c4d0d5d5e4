"""The systemd units: one for each command, with its own user, and without unnecessary rights.

:mod:`tests.integration.test_systemd_real` starts them under a real systemd.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import TestCase

from novnc_twisted.service.commands import LISTENING, has_proxy
from novnc_twisted.service.exits import BAD_CONFIGURATION

UNITS = Path(__file__).resolve().parent.parent / "contrib" / "systemd"
SYSUSERS = UNITS.parent / "sysusers.d" / "novnc_twisted.conf"

HARDENING = {
    "CapabilityBoundingSet": [""],
    "NoNewPrivileges": ["yes"],
    "ProtectSystem": ["strict"],
    "ProtectHome": ["yes"],
    "PrivateTmp": ["yes"],
    "PrivateDevices": ["yes"],
    "PrivateUsers": ["yes"],
    "ProcSubset": ["pid"],
    "MemoryDenyWriteExecute": ["yes"],
    "LimitCORE": ["0"],
    "RestrictSUIDSGID": ["yes"],
    "SystemCallFilter": ["@system-service", "~@privileged @resources"],
}

EXPOSURE = 1.2
"""Maximum exposure level in ``systemd-analyze security``; 10 is a service without any protection."""

Unit = dict[str, dict[str, list[str]]]
"""Section -> name -> its values, in their order."""


def commands() -> set[str]:
    """The twistd commands of this package."""
    return {maker.tapname for maker in getPlugins(IServiceMaker) if maker.module.startswith("novnc_twisted.")}


def parsed(path: Path) -> Unit:
    """Parse a unit file."""
    unit: Unit = {}
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = unit.setdefault(line.strip("[]"), defaultdict(list))
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            section[name].append(value)
    return unit


def units() -> dict[str, Unit]:
    """Every service, by the command in its name."""
    return {path.stem: parsed(path) for path in UNITS.glob("*.service")}


class UnitTests(TestCase):
    """The settings of each unit."""

    def test_one_for_each_command(self) -> None:
        self.assertEqual(set(units()), commands())

    def test_starts_its_command(self) -> None:
        """Commands run in the foreground, without a pid file, with nova's configuration and then their own."""
        for command, unit in units().items():
            self.assertEqual(
                unit["Service"]["ExecStart"],
                [
                    f"/opt/novnc_twisted/bin/twistd --nodaemon --pidfile= {command} "
                    "--config-file ${CREDENTIALS_DIRECTORY}/nova.conf "
                    f"--config-file ${{CREDENTIALS_DIRECTORY}}/{command}.conf $MORE_OPTIONS"
                ],
            )
            self.assertEqual(
                unit["Service"]["LoadCredential"],
                ["nova.conf:/etc/nova/nova.conf", f"{command}.conf:/etc/nova/{command}.conf"],
            )
            self.assertEqual(unit["Service"]["SetCredential"], [f"{command}.conf:[DEFAULT]"])

    def test_life(self) -> None:
        """Services start after the network, and restart after failures that a restart may fix."""
        for unit in units().values():
            service = unit["Service"]
            self.assertIn("network-online.target", unit["Unit"]["After"][0].split())
            self.assertEqual(unit["Unit"]["Wants"], ["network-online.target"])
            self.assertEqual(service["Restart"], ["on-failure"])
            self.assertEqual(service["RestartPreventExitStatus"], [str(BAD_CONFIGURATION)])
            self.assertEqual(service["WatchdogSec"], ["30"])
            self.assertEqual(unit["Install"]["WantedBy"], ["multi-user.target"])

    def test_says_when_it_is_ready(self) -> None:
        """The main process notifies systemd.  In a proxy, only the main process gets SIGTERM; it ends its workers."""
        for command, unit in units().items():
            service = unit["Service"]
            self.assertEqual((service["Type"], service["NotifyAccess"]), (["notify"], ["main"]))
            # After a take-over, systemd's SIGTERM to an older process would be the second one, which ends its sessions.
            mode = ["mixed"] if has_proxy(command) else []
            self.assertEqual(service["KillMode"], mode)

    def test_reload(self) -> None:
        """Each service has a reload command, which fails if the service could not reload."""
        for command, unit in units().items():
            service = unit["Service"]
            self.assertEqual(
                service["ExecReload"],
                [
                    f"+/opt/novnc_twisted/bin/novnc-reload /run/novnc-{command} --config-file /etc/nova/nova.conf "
                    f"--optional-config-file /etc/nova/{command}.conf $MORE_OPTIONS"
                ],
            )
            self.assertEqual(service["RuntimeDirectory"], [f"novnc-{command}"])
            self.assertEqual(service["RuntimeDirectoryMode"], ["0700"])
            # The next start of a proxy finds the sessions of a killed one there.
            kept = ["yes"] if has_proxy(command) else None
            self.assertEqual(service.get("RuntimeDirectoryPreserve"), kept)
            self.assertEqual(service["LogsDirectory"], [f"novnc-{command}"])
            self.assertEqual(service["LogsDirectoryMode"], ["0700"])

    def test_journal(self) -> None:
        """Each service has its own name in the journal."""
        for command, unit in units().items():
            self.assertEqual(unit["Service"]["SyslogIdentifier"], [command])

    def test_sockets(self) -> None:
        """Each listening service has a socket unit with its name and its default address."""
        found = {}
        for path in UNITS.glob("*.socket"):
            (name,) = parsed(path)["Socket"]["FileDescriptorName"]
            self.assertEqual(name, path.stem)
            (found[path.stem],) = parsed(path)["Socket"]["ListenStream"]
        self.assertEqual(
            found,
            {"consoleapi": "127.0.0.1:8774", "novncproxy": "0.0.0.0:6080", "xvpvncproxy": "0.0.0.0:6081"},
        )
        self.assertEqual(set(found), set(LISTENING))

    def test_users(self) -> None:
        """Each service has its own user from sysusers.d; only those that use libvirt are in its group."""
        made = set(re.findall(r"(?m)^u (\S+)", SYSUSERS.read_text()))
        self.assertEqual(made, {f"novnc-{command}" for command in commands()})
        for command, unit in units().items():
            service = unit["Service"]
            self.assertEqual((service["User"], service["Group"]), ([f"novnc-{command}"],) * 2)
            groups = ["libvirt"] if command in {"consolecompute", "console"} else []
            self.assertEqual(service["SupplementaryGroups"], groups)

    def test_hardening(self) -> None:
        for unit in units().values():
            self.assertEqual({name: unit["Service"][name] for name in HARDENING}, HARDENING)

    def test_systemd_agrees(self) -> None:
        """systemd-analyze reads the units without warnings, and finds few unnecessary rights."""
        program = shutil.which("systemd-analyze")
        assert program is not None, "systemd-analyze is missing: apt-get install systemd"
        with tempfile.TemporaryDirectory() as folder:
            copies = []
            for path in (*UNITS.glob("*.service"), *UNITS.glob("*.socket")):
                copy = Path(folder) / path.name
                copy.write_text(re.sub(r"(?m)^(Exec\w+=\+?)\S+", r"\1/bin/true", path.read_text()))
                copies.append(str(copy))
            done = subprocess.run(
                [program, "verify", "--man=no", "--recursive-errors=no", *copies],
                capture_output=True,
                text=True,
                timeout=240,
                env=os.environ | {"SYSTEMD_LOG_LEVEL": "warning"},
            )
            services = [copy for copy in copies if copy.endswith(".service")]
            most = f"--threshold={EXPOSURE * 10:.0f}"
            judged = subprocess.run(
                [program, "security", "--offline=yes", "--no-pager", most, *services],
                capture_output=True,
                text=True,
                timeout=240,
            )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(judged.returncode, 0, judged.stdout)
