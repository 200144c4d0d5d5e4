"""A machine under a real systemd, with all services and Redis with roles, for tests."""

import atexit
import functools
import shlex

from twisted.trial.unittest import SynchronousTestCase

from tests.api.harness import quick_hash
from tests.support.machine import CHECKOUT, Machine, MachineFailed, missing
from tests.support.pki import CA, Credential

SERVICES = ("consoleauth", "consolecompute", "consoleapi", "novncproxy", "xvpvncproxy")
PROXIES = ("novncproxy", "xvpvncproxy")
AUTHORITY = CA()

NOVA_CONF = """[DEFAULT]
cert = /etc/nova/tls/proxy.pem
key = /etc/nova/tls/proxy.key

[vnc]
novncproxy_base_url = https://127.0.0.1:6080/vnc_auto.html

[api]
cert = /etc/nova/tls/api.pem
key = /etc/nova/tls/api.key
auth_strategy = http_basic
http_basic_auth_user_file = /etc/nova/users
"""

ROLES = {
    "consoleauth": "consoleauth",
    "consolecompute": "compute.machine",
    "consoleapi": "api",
    "novncproxy": "proxy",
    "xvpvncproxy": "proxy",
}
"""The Redis role of each service; each gets only the file of its role, as docs/redis_acl.rst says."""

REDIS = """[Service]
Type=notify
ExecStart=/usr/bin/redis-server --bind 127.0.0.1 --save "" --aclfile /etc/redis/users.acl --supervised systemd
"""

LIBVIRTD = "[Service]\nType=notify\nExecStart=/usr/sbin/libvirtd\nEnvironment=LIBVIRTD_ARGS=\n"

QEMU_CONF = 'stdio_handler = "file"\nsecurity_driver = "none"\n'
"""This machine has neither virtlogd nor AppArmor."""

LIBVIRTD_CONF = (
    'unix_sock_group = "libvirt"\nunix_sock_rw_perms = "0770"\nauth_unix_ro = "none"\nauth_unix_rw = "none"\n'
)


@functools.cache
def machine() -> Machine | MachineFailed:
    """The machine with all services, or the reason why it is missing.  All tests share it, as a boot takes long."""
    try:
        booted = Machine()
    except MachineFailed as error:
        return error
    atexit.register(booted.close)
    try:
        deploy(booted)
    except MachineFailed as error:
        return MachineFailed(f"{error}\n{booted.run('journalctl --no-pager --lines=50')}")
    return booted


def deploy(host: Machine) -> None:
    """Follow the README and docs/redis_acl.rst, and start all services."""
    checkout = shlex.quote(str(CHECKOUT))
    redis = "novnc-redis-acl --url redis://127.0.0.1:6379/0 --into /etc/redis-users"
    host.run(
        f"install -D -m 644 {checkout}/contrib/sysusers.d/novnc_twisted.conf /etc/sysusers.d/novnc_twisted.conf",
        "systemd-sysusers",
        "groupadd --system --force libvirt",
        "id libvirt-qemu >/dev/null 2>&1 || useradd --system --user-group libvirt-qemu",
        f"cp {checkout}/contrib/systemd/*.service {checkout}/contrib/systemd/*.socket /etc/systemd/system/",
        "rm -rf /etc/nova; install -d -m 755 /etc/nova /etc/nova/tls /etc/redis",
        f"{redis} api consoleauth proxy compute.machine@127.0.0.1",
        "install -m 600 /etc/redis-users/users.acl /etc/redis/users.acl",
        *(f"install -m 600 /etc/redis-users/{role}.conf /etc/nova/{name}.conf" for name, role in ROLES.items()),
        "sed -i 's/^\\[DEFAULT\\]$/[DEFAULT]\\nworkers = 2/' /etc/nova/novncproxy.conf",
    )
    host.write("/etc/nova/nova.conf", NOVA_CONF, mode="600")
    host.write("/etc/nova/users", f"admin:{quick_hash('a password')}\n", mode="640", owner="root:novnc-consoleapi")
    for name, group in (("proxy", "novnc-proxy"), ("api", "novnc-consoleapi")):
        put_credential(host, AUTHORITY.issue("127.0.0.1"), name, group)
    host.write("/etc/systemd/system/redis-server.service", REDIS)
    host.write("/etc/systemd/system/libvirtd.service", LIBVIRTD)
    host.write("/etc/libvirt/libvirtd.conf", LIBVIRTD_CONF)
    host.write("/etc/libvirt/qemu.conf", QEMU_CONF)
    host.run(
        "systemctl daemon-reload", "systemctl start redis-server libvirtd", f"systemctl start {' '.join(SERVICES)}"
    )


def put_credential(host: Machine, credential: Credential, name: str, group: str) -> None:
    """Install a certificate and its key."""
    for suffix, data in (("pem", credential.cert), ("key", credential.key)):
        host.write(f"/etc/nova/tls/{name}.{suffix}", data.decode(), mode="640", owner=f"root:{group}")


class SystemdCase(SynchronousTestCase):
    def setUp(self) -> None:
        needs = missing()
        if needs is not None:
            self.fail(needs)
        booted = machine()
        if isinstance(booted, MachineFailed):
            self.fail(str(booted))
        self.machine = booted

    def drop_in(self, unit: str, text: str) -> None:
        """Change a unit until the end of the test; it is restarted before and after."""
        folder = f"/etc/systemd/system/{unit}.service.d"
        self.machine.write(f"{folder}/test.conf", f"[Service]\n{text}\n")
        again = ("systemctl daemon-reload", f"systemctl restart {unit}")
        self.machine.run(*again)
        self.addCleanup(self.machine.run, f"rm -r {folder}", *again)

    def pid(self, unit: str) -> int:
        """The id of the unit's main process in the machine; 0: it does not run."""
        return int(self.machine.show(unit, "MainPID"))

    def active(self, unit: str) -> bool:
        return self.machine.show(unit, "ActiveState") == "active"

    def said(self, unit: str, text: str, since: int = 0) -> list[dict[str, str]]:
        """The lines of a unit's journal that contain a text, without the first ``since`` lines."""
        return [one for one in self.machine.journal(f"{unit}.service")[since:] if text in one["MESSAGE"]]

    def lines(self, unit: str) -> int:
        """How many lines a unit has in the journal."""
        return len(self.machine.journal(f"{unit}.service"))
