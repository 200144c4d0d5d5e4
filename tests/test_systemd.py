"""The systemd units: one for each command, without rights that it does not need."""

import configparser
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import TestCase

from novnc_twisted.service.sockets import ORDER

UNITS = Path(__file__).resolve().parent.parent / "contrib" / "systemd"

HARDENING = {
    "CapabilityBoundingSet": "",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallFilter": "@system-service",
}


def commands() -> set[str]:
    """The twistd commands that are ours."""
    return {maker.tapname for maker in getPlugins(IServiceMaker) if maker.module.startswith("novnc_twisted.")}


def units() -> dict[str, configparser.ConfigParser]:
    """Every unit, by the command in its name."""
    found = {}
    for path in UNITS.glob("*.service"):
        unit = configparser.ConfigParser(interpolation=None, strict=True)
        unit.optionxform = str  # type: ignore[method-assign, assignment]
        unit.read_string(path.read_text())
        found[path.stem] = unit
    return found


class UnitTests(TestCase):
    """What each unit says."""

    def test_one_for_each_command(self) -> None:
        """No command without a unit, no unit without a command."""
        self.assertEqual(set(units()), commands())

    def test_starts_its_command(self) -> None:
        """In the foreground, without a pid file, with nova's configuration."""
        for command, unit in units().items():
            self.assertEqual(
                unit["Service"]["ExecStart"],
                f"/opt/novnc_twisted/bin/twistd --nodaemon --pidfile= {command} "
                "--config-file /etc/nova/nova.conf $MORE_OPTIONS",
            )

    def test_life(self) -> None:
        """After the network, and again after a failure."""
        for unit in units().values():
            self.assertIn("network-online.target", unit["Unit"]["After"].split())
            self.assertEqual(unit["Unit"]["Wants"], "network-online.target")
            self.assertEqual(unit["Service"]["Restart"], "on-failure")
            self.assertEqual(unit["Install"]["WantedBy"], "multi-user.target")

    def test_says_when_it_is_ready(self) -> None:
        """By the first process alone, which of several workers is the one that ends them."""
        for command, unit in units().items():
            self.assertEqual((unit["Service"]["Type"], unit["Service"]["NotifyAccess"]), ("notify", "main"))
            mode = "mixed" if command in {"novncproxy", "xvpvncproxy"} else None
            self.assertEqual(unit["Service"].get("KillMode"), mode)

    def test_reload(self) -> None:
        """Certificates, by what listens."""
        for command, unit in units().items():
            reload = None if command in {"consoleauth", "consolecompute"} else "/bin/kill -HUP $MAINPID"
            self.assertEqual(unit["Service"].get("ExecReload"), reload)

    def test_sockets(self) -> None:
        """For each part that listens, at the address that it has by default, under the name by which it asks."""
        found = {}
        for path in UNITS.glob("*.socket"):
            unit = configparser.ConfigParser(interpolation=None, strict=True)
            unit.read_string(path.read_text())
            self.assertEqual(unit["Socket"]["FileDescriptorName"], path.stem)
            found[path.stem] = unit["Socket"]["ListenStream"]
        self.assertEqual(
            found,
            {"consoleapi": "127.0.0.1:8774", "novncproxy": "0.0.0.0:6080", "xvpvncproxy": "0.0.0.0:6081"},
        )
        self.assertEqual(set(found), set(ORDER))

    def test_hardening(self) -> None:
        """An unprivileged user; only those that speak with libvirt are in its group."""
        for command, unit in units().items():
            service = unit["Service"]
            self.assertEqual((service["User"], service["Group"]), ("nova", "nova"))
            self.assertEqual({name: service[name] for name in HARDENING}, HARDENING)
            groups = "libvirt" if command in {"consolecompute", "console"} else None
            self.assertEqual(service.get("SupplementaryGroups"), groups)

    def test_systemd_agrees(self) -> None:
        """Where systemd is installed, it reads them without a complaint."""
        program = shutil.which("systemd-analyze")
        if program is None:
            return  # the tests above hold everywhere; a machine without systemd has no use for more
        with tempfile.TemporaryDirectory() as folder:
            copies = []
            for path in (*UNITS.glob("*.service"), *UNITS.glob("*.socket")):
                copy = Path(folder) / path.name
                copy.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", path.read_text()))
                copies.append(str(copy))
            done = subprocess.run(
                [program, "verify", "--man=no", "--recursive-errors=no", *copies],
                capture_output=True,
                text=True,
                timeout=60,
                env=os.environ | {"SYSTEMD_LOG_LEVEL": "warning"},
            )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
