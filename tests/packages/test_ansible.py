"""The role of contrib/ansible on a controller and two compute hosts, over ssh."""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.api.harness import quick_hash
from tests.integration.systemd_case import LIBVIRTD, LIBVIRTD_CONF, QEMU_CONF
from tests.packages.debian import ROOT, package
from tests.packages.lab import Lab
from tests.support.machine import Machine
from tests.support.pki import CA

HOSTS = ("controller", "compute1", "compute2")


class AnsibleTests(SynchronousTestCase):
    def setUp(self) -> None:
        # Ansible's control sockets need a short path.
        self.folder = Path(tempfile.mkdtemp(prefix="a-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.lab = Lab(self.folder)
        self.addCleanup(self.lab.close)

    def prepare(self) -> None:
        """Boot the hosts with what the role expects: libvirt on the compute hosts, and fresh package lists."""
        for name in HOSTS:
            host = self.lab.add(name)
            host.run("groupadd --system --force libvirt", "mkdir -p /var/lib/apt/periodic")
            host.run("touch /var/lib/apt/periodic/update-success-stamp")  # no package archive is reachable
            if name != "controller":
                host.write("/etc/systemd/system/libvirtd.service", LIBVIRTD)
                host.write("/etc/libvirt/libvirtd.conf", LIBVIRTD_CONF)
                host.write("/etc/libvirt/qemu.conf", QEMU_CONF)
                host.run("systemctl daemon-reload", "systemctl start libvirtd")

    def inventory(self) -> str:
        """three-hosts.ini with the addresses of this network."""
        text = (ROOT / "contrib" / "ansible" / "three-hosts.ini").read_text()
        for name in HOSTS:
            text = re.sub(rf"(?m)^{name} ansible_host=\S+$", f"{name} ansible_host={self.lab.address(name)}", text)
        return text

    def play(self, inventory: str = "hosts.ini", name: str = "three-hosts.yml") -> dict[str, dict[str, int]]:
        """Run a playbook; return the counts of each host.

        :param inventory: a file in the folder, or a list of hosts that ends with a comma.
        """
        hosts = inventory if inventory.endswith(",") else str(self.folder / inventory)
        playbook = str(Path(os.environ["TEST_ANSIBLE"]) / "bin" / "ansible-playbook")
        done = self.lab.run(
            *(playbook, "-i", hosts, "--private-key", str(self.lab.key), "--user", "root"),
            *("-e", "ansible_python_interpreter=/usr/bin/python3", "-e", f"novnc_deb={package()}"),
            *("-e", f"@{self.folder / 'vars.yml'}", str(ROOT / "contrib" / "ansible" / name)),
            folder=self.folder,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rows = re.findall(r"^(\S+) +: (ok=.*)$", done.stdout, re.M)
        self.output = done.stdout
        return {name: {key: int(n) for key, n in re.findall(r"(\w+)=(\d+)", row)} for name, row in rows}

    def test_three_hosts(self) -> None:
        """The second run changes nothing; the API of the controller knows both compute hosts."""
        self.prepare()
        (self.folder / "hosts.ini").write_text(self.inventory())
        users = [{"name": "admin", "hash": quick_hash("a password")}]
        (self.folder / "vars.yml").write_text(json.dumps({"novnc_users": users}))
        first = self.play()
        self.assertEqual(set(first), set(HOSTS))
        self.assertTrue(all(counts["changed"] for counts in first.values()), first)
        second = self.play()
        self.assertEqual(
            {name: counts["changed"] for name, counts in second.items()}, dict.fromkeys(HOSTS, 0), self.output
        )
        ask = "curl --silent --fail --user 'admin:a password' http://127.0.0.1:8774/v2.1/os-services"
        controller = self.lab.hosts["controller"]

        def compute_hosts() -> set[str]:
            done = controller.attempt(ask)
            listed = json.loads(done.stdout)["services"] if done.returncode == 0 else []
            return {one["host"] for one in listed if one["binary"] == "nova-compute" and one["state"] == "up"}

        controller.until(lambda: compute_hosts() == {"compute1", "compute2"})

    def test_one_host(self) -> None:
        """It gets a self-signed certificate.  A new one is loaded without a restart, so that sessions continue."""
        host = self.lab.add("console")
        host.run("groupadd --system --force libvirt")
        more = "[libvirt]\nconnection_uri = test:///default\n"
        users = [{"name": "admin", "hash": quick_hash("a password")}]
        given: dict[str, Any] = {"novnc_users": users, "novnc_nova_conf": more}
        (self.folder / "vars.yml").write_text(json.dumps(given))
        address = self.lab.address("console")
        self.play(f"{address},", "one-host.yml")
        get = "curl --silent --fail --insecure --output /dev/null https://127.0.0.1"
        host.run(f"{get}:6080/vnc_auto.html", f"{get}:8774/v2.1/servers --user 'admin:a password'")
        before = host.show("console", "MainPID"), self.certificate(host)
        new = CA().issue("console")
        for name, content in (("novnc_certificate", new.cert), ("novnc_key", new.key)):
            (self.folder / name).write_bytes(content)
            given[name] = str(self.folder / name)
        (self.folder / "vars.yml").write_text(json.dumps(given))
        counts = self.play(f"{address},", "one-host.yml")[address]
        self.assertEqual(counts["changed"], 3, self.output)  # both files, and the reload
        after = host.show("console", "MainPID"), self.certificate(host)
        self.assertEqual(after, (before[0], new.cert.decode().strip()))
        self.assertNotEqual(before[1], after[1])

    def certificate(self, host: Machine) -> str:
        """The certificate that the noVNC proxy presents."""
        script = "import ssl; print(ssl.get_server_certificate(('127.0.0.1', 6080)))"
        return host.run(f'python3 -c "{script}"').strip()
