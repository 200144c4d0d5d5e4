"""Machines in one network, which Ansible reaches by ssh.  The network is isolated from the real machine's."""

import os
import subprocess
from pathlib import Path

from tests.packages.debian import fresh_machine
from tests.support.machine import Machine

ADDRESS = "10.77.0.{}"

NETWORK = "ip link add net type bridge; ip address add 10.77.0.1/24 dev net; ip link set net up; echo up; exec cat"

SSHD_CONFIG = """ListenAddress {address}
AuthorizedKeysFile /etc/ssh/test_keys
PasswordAuthentication no
UsePAM no
Subsystem sftp internal-sftp
"""

UNIT = "[Service]\nExecStart=/usr/sbin/sshd -D -f /etc/ssh/test_config\nRuntimeDirectory=sshd\n"


class Lab:
    """A network of machines.

    :ivar hosts: the machines by their names.
    :ivar key: the private key with which root may log in at each.
    """

    def __init__(self, folder: Path) -> None:
        self.hosts: dict[str, Machine] = {}
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self._network = subprocess.Popen(
            ["unshare", "--net", "sh", "-ec", NETWORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._network.stdout is not None
        assert self._network.stdout.readline() == "up\n"

    def add(self, name: str) -> Machine:
        """Boot a machine with a fresh address, and start sshd there."""
        number = 11 + len(self.hosts)
        self.hosts[name] = host = fresh_machine()
        self._ip(f"link add to{number} type veth peer name eth0 netns {host.pid}")
        self._ip(f"link set to{number} master net up")
        address = ADDRESS.format(number)
        host.run(f"hostname {name}", f"ip address add {address}/24 dev eth0", "ip link set eth0 up", "ssh-keygen -A")
        host.write("/etc/ssh/test_config", SSHD_CONFIG.format(address=address))
        host.write("/etc/ssh/test_keys", self.key.with_suffix(".pub").read_text(), mode="600")
        host.write("/etc/systemd/system/test-sshd.service", UNIT)
        host.run("systemctl daemon-reload", "systemctl start test-sshd")
        return host

    def address(self, name: str) -> str:
        return ADDRESS.format(11 + list(self.hosts).index(name))

    def run(self, *command: str, folder: Path, timeout: float = 900) -> "subprocess.CompletedProcess[str]":
        """Run a command in the network."""
        inside = ["nsenter", "--net", f"--target={self._network.pid}", *command]
        environment = os.environ | {"ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_NOCOLOR": "1", "HOME": str(folder)}
        return subprocess.run(inside, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout)

    def close(self) -> None:
        """End the machines and the network."""
        for host in self.hosts.values():
            host.close()
        assert self._network.stdin is not None and self._network.stdout is not None
        self._network.stdin.close()
        self._network.stdout.close()
        self._network.wait(60)

    def _ip(self, arguments: str) -> None:
        subprocess.run(["nsenter", "--net", f"--target={self._network.pid}", "ip", *arguments.split()], check=True)
