"""The README's single host, exactly as written: one service under a real systemd, with TLS, users, and a real VM.

The machine is :mod:`tests.support.machine`.  What the README installs from packages is there already.  The host's name
resolves to loopback, and the test starts a libvirtd in place of that of the packages.
"""

import base64
import re
import shlex

from twisted.trial.unittest import SynchronousTestCase

from demo.domains import small_domain
from demo.guest import boot_sector
from tests.integration.test_deployment import LIBVIRTD_CONF, PLAIN_VNC, QEMU_CONF
from tests.support.machine import CHECKOUT, PATH, Machine, MachineFailed, missing
from tests.support.pki import CA

README = (CHECKOUT / "README.md").read_text()
NAME = "console.example.org"
LIBVIRTD = "[Service]\nType=notify\nExecStart=/usr/sbin/libvirtd\nEnvironment=LIBVIRTD_ARGS=\n"

NOVA = '#!/bin/sh\nexec /opt/novnc_twisted/bin/python -c "from novaclient.shell import main; main()" "$@"\n'
"""What pip makes of python-novaclient's entry point."""

GREETING = """
import base64, os, socket, ssl, sys
from urllib.parse import urlsplit
url = urlsplit(sys.argv[1])
context = ssl.create_default_context(cafile="/etc/nova/tls/console.pem")
with context.wrap_socket(socket.create_connection((url.hostname, url.port)), server_hostname=url.hostname) as link:
    key = base64.b64encode(os.urandom(16)).decode()
    head = [f"GET /websockify?{url.query} HTTP/1.1", f"Host: {url.netloc}", f"Origin: https://{url.netloc}"]
    head += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    link.sendall(("\\r\\n".join(head) + "\\r\\n\\r\\n").encode())
    data = b""
    while b"\\r\\n\\r\\n" not in data or len(data.partition(b"\\r\\n\\r\\n")[2]) < 14:
        piece = link.recv(4096)
        if not piece:
            break
        data += piece
print(data.partition(b"\\r\\n\\r\\n")[2][2:14].decode().strip())
"""
"""Opens a link's WebSocket over TLS, verifies the certificate, and prints the RFB version."""


def blocks(*hosts: str) -> list[str]:
    """The README's blocks for these hosts, in order, without those that fetch packages."""
    found = re.findall(r"<!-- step: ([^>]+) -->\n```sh\n(.*?)```", README, re.S)
    return [text for who, text in found if who.removesuffix(" systemd") in hosts]


class OneHostTests(SynchronousTestCase):
    timeout = 600

    def setUp(self) -> None:
        needs = missing()
        if needs is not None:
            self.fail(needs)
        try:
            self.machine = Machine()
        except MachineFailed as error:
            self.fail(str(error))
        self.addCleanup(self.machine.close)

    def prepare(self) -> None:
        """Provide what the packages and DNS would provide."""
        self.machine.write("/etc/hosts", f"127.0.0.1 localhost {NAME}\n")
        self.machine.write("/etc/libvirt/libvirtd.conf", LIBVIRTD_CONF)
        self.machine.write("/etc/libvirt/qemu.conf", QEMU_CONF)
        self.machine.write("/etc/systemd/system/libvirtd.service", LIBVIRTD)
        self.machine.write("/opt/novnc_twisted/bin/nova", NOVA, mode="755")
        self.machine.run(
            "rm -rf /etc/nova /etc/sysusers.d",
            "groupadd --system --force libvirt",
            "id libvirt-qemu >/dev/null 2>&1 || useradd --system --user-group libvirt-qemu",
            "systemctl daemon-reload",
            "systemctl start libvirtd",
        )

    def test_the_readme(self) -> None:
        """A user of a project sees her server, gets a link, and the link leads to the screen, all over TLS."""
        self.prepare()
        here = f"cd {shlex.quote(str(CHECKOUT))}"
        self.machine.run(here, *blocks("every host", "api host", "one host"))
        self.assertEqual(self.machine.show("console", "ActiveState"), "active")
        image = "/var/lib/libvirt/images/myserver20.img"
        self.machine.run(
            f"mkdir -p $(dirname {image})", f"base64 -d > {image}", stdin=encoded(boot_sector("myserver20"))
        )
        self.machine.write("/tmp/vm.xml", small_domain("myserver20", boot_image=image, graphics=PLAIN_VNC))
        self.machine.run("virsh -q define /tmp/vm.xml", "virsh -q start myserver20")
        (owner,) = re.findall(r"```sh\n(virsh metadata .*?)```", README, re.S)
        self.machine.run(owner)

        (user,) = re.findall(r"<!-- user -->\n```sh\n(.*?)```", README, re.S)
        (more,) = re.findall(r"<!-- user of one host -->\n```sh\n(.*?)```", README, re.S)
        shown = re.findall(r"^\$ (nova .*)$", README, re.M)
        self.machine.run("cp /etc/nova/tls/console.pem /tmp/console.pem")
        as_user = [f"export PATH={PATH}", "cd /tmp", user, more]
        list_servers, get_console = shown
        # consolecompute publishes a new owner within a second.
        self.machine.until(lambda: "myserver20" in self.machine.run(*as_user, list_servers, user="daemon"))
        self.assertRegex(self.machine.run(*as_user, list_servers, user="daemon"), r"\| myserver20 +\| ACTIVE ")
        link = self.machine.run(*as_user, get_console, user="daemon")
        (url,) = re.findall(rf"https://{NAME}:6080/vnc_auto\.html\?token=[0-9a-f-]{{36}}", link)
        self.assertIn("<html", self.machine.run(f"curl -sSf --cacert /etc/nova/tls/console.pem '{url}'"))
        self.machine.write("/tmp/greeting.py", GREETING)
        greeting = f"/opt/novnc_twisted/bin/python /tmp/greeting.py '{url}'"
        self.assertEqual(self.machine.run(greeting), "RFB 003.008\n")
        self.renew()

    def renew(self) -> None:
        """Replace the certificate as docs/tls.rst does for Let's Encrypt; the service is not restarted."""
        before = self.machine.show("console", "MainPID")
        issued = CA().issue(NAME)
        for name, data in (("fullchain", issued.cert), ("privkey", issued.key)):
            self.machine.write(f"/etc/letsencrypt/live/{NAME}/{name}.pem", data.decode(), mode="600")
        hook = shlex.quote(str(CHECKOUT / "docs" / "examples" / "certbot-hook.sh"))
        self.machine.run(f"RENEWED_LINEAGE=/etc/letsencrypt/live/{NAME} sh {hook}")
        served = f"openssl s_client -connect {NAME}:6080 -servername {NAME} </dev/null 2>/dev/null | openssl x509"
        self.assertEqual(self.machine.run(served).strip(), issued.cert.decode().strip())
        self.assertEqual(self.machine.show("console", "MainPID"), before)


def encoded(data: bytes) -> str:
    """Base64, to pass a file through a terminal."""
    return base64.b64encode(data).decode()
