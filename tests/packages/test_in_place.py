"""Put our command into the unit of nova-novncproxy, as in docs/openstack.rst, and go back."""

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.packages.debian import ROOT, fresh_machine, package

UNIT = """[Unit]
Description=nova-novncproxy service

[Service]
Type=simple
User=nova
Group=nova
ExecStart=/openstack/venvs/nova/bin/nova-novncproxy
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
"""
"""Modelled on the unit that openstack-ansible writes."""

NOVAS = "#!/bin/sh\nexec sleep 1000\n"
"""Replaces nova's command."""

NOVA_CONF = """[DEFAULT]
transport_url = rabbit://openstack:password@127.0.0.1:5672//
[service_user]
auth_type = password
auth_url = http://127.0.0.1:9
username = nova
password = password
project_name = service
user_domain_name = Default
project_domain_name = Default
"""

PAGE = "curl --silent --fail --output /dev/null http://127.0.0.1:6080/vnc_lite.html"


def drop_in() -> str:
    """The lines for ``systemctl edit`` in docs/openstack.rst, with the Debian package's path."""
    page = (ROOT / "docs" / "openstack.rst").read_text()
    found = re.search(r"(?m)^    \[Service\]\n(    .*\n)+", page)
    assert found is not None
    return re.sub(r"(?m)^    ", "", found[0]).replace("/opt/novnc-twisted/", "/opt/novnc_twisted/")


class InPlaceTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        host = fresh_machine()
        self.addCleanup(host.close)
        host.run(f"dpkg --install {package()}", "id nova >/dev/null 2>&1 || useradd --system --user-group nova")
        host.write("/openstack/venvs/nova/bin/nova-novncproxy", NOVAS, mode="755")
        host.write("/etc/nova/nova.conf", NOVA_CONF, mode="640", owner="root:nova")
        host.write("/etc/systemd/system/nova-novncproxy.service", UNIT)
        host.run("systemctl daemon-reload", "systemctl start nova-novncproxy")
        self.assertNotEqual(host.attempt(PAGE).returncode, 0)

        # ``systemctl edit`` would need a terminal.
        host.write("/etc/systemd/system/nova-novncproxy.service.d/override.conf", drop_in())
        host.run("systemctl daemon-reload", "systemctl restart nova-novncproxy")
        host.until(lambda: host.attempt(PAGE).returncode == 0)
        host.run("/opt/novnc_twisted/bin/nova-novncproxy --check-config --config-file /etc/nova/nova.conf")

        host.run("systemctl revert nova-novncproxy", "systemctl restart nova-novncproxy")
        host.run("systemctl is-active nova-novncproxy")
        self.assertNotEqual(host.attempt(PAGE).returncode, 0)
        command = host.show("nova-novncproxy", "ExecStart")
        self.assertIn("/openstack/venvs/nova/bin/nova-novncproxy", command)
