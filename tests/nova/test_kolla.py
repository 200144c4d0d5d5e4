"""The files that kolla-ansible's own role writes for nova-novncproxy, with the override of docs/openstack.rst."""

import json
import os
import re
import signal
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from tests.nova.configuration import PASSWORD
from tests.nova.harness import NovaCase, instance_name, until
from tests.support.twistd import Twistd
from tests.support.viewer import Viewers

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / ".venv-ansible"
KOLLA = ANSIBLE / "share" / "kolla-ansible" / "ansible"
PLUGINS = {
    "ANSIBLE_ROLES_PATH": "roles",
    "ANSIBLE_ACTION_PLUGINS": "action_plugins",
    "ANSIBLE_FILTER_PLUGINS": "filter_plugins",
    "ANSIBLE_LIBRARY": "library",
}

INVENTORY = "controller3 ansible_connection=local\n" + "".join(
    f"[{group}]\n{members}\n"
    for group, members in (
        ("nova-novncproxy", "controller3"),
        ("nova-conductor", "controller3"),
        ("nova-api", "controller3"),
        ("rabbitmq", "controller3"),
        ("compute", ""),
    )
)

PLAY = """- hosts: controller3
  tasks:
    - ansible.builtin.include_role: {name: nova-cell, tasks_from: config.yml}
"""


def override() -> str:
    """The file that docs/openstack.rst puts into kolla-ansible's folder of overrides."""
    page = (ROOT / "docs" / "openstack.rst").read_text()
    found = re.search(r"/etc/kolla/config/nova/nova-novncproxy\.conf``.*?::\n\n(.*?)\n\n\S", page, re.S)
    assert found is not None
    return re.sub(r"(?m)^    ", "", found[1]) + "\n"


class KollaTests(NovaCase):
    async def rendered(self) -> Path:
        """Run the tasks of the role that write the configuration; return the folder of nova-novncproxy."""
        folder = Path(self.mktemp()).absolute()
        (folder / "custom" / "nova").mkdir(parents=True)
        (folder / "custom" / "nova" / "nova-novncproxy.conf").write_text(override())
        (folder / "hosts").write_text(INVENTORY)
        (folder / "play.yml").write_text(PLAY)
        passwords = folder / "passwords.yml"
        passwords.write_text((KOLLA.parent / "etc_examples" / "kolla" / "passwords.yml").read_text())
        passwords.chmod(0o600)
        await self.run_command("kolla-genpwd", "-p", str(passwords))
        values = {
            "ansible_python_interpreter": str(ANSIBLE / "bin" / "python"),
            "api_interface_address": "127.0.0.1",
            "config_owner_group": os.getegid(),
            "config_owner_user": os.geteuid(),
            "keystone_internal_url": self.cloud.keystone_url.removesuffix("/v3"),
            "kolla_external_vip_address": "127.0.0.1",
            "kolla_internal_vip_address": "127.0.0.1",
            "node_config_directory": str(folder / "out"),
            "node_custom_config": str(folder / "custom"),
            "nova_keystone_password": PASSWORD.format(name="nova"),
            "nova_novncproxy_image_full": "registry.example.org/novnc-twisted:TAG",
            "nova_novncproxy_port": str(self.port),
        }
        (folder / "values.json").write_text(json.dumps(values))
        files = [*sorted((KOLLA / "group_vars" / "all").glob("*.yml")), passwords, folder / "values.json"]
        extra = [part for path in files for part in ("-e", f"@{path}")]
        await self.run_command("ansible-playbook", "-i", str(folder / "hosts"), *extra, str(folder / "play.yml"))
        return folder / "out" / "nova-novncproxy"

    async def run_command(self, name: str, *arguments: str) -> None:
        environment = os.environ | {variable: str(KOLLA / folder) for variable, folder in PLUGINS.items()}
        command = str(ANSIBLE / "bin" / name)
        out, err, status = await getProcessOutputAndValue(command, arguments, env=environment | {"LC_ALL": "C.UTF-8"})
        self.assertEqual(status, 0, (out + err).decode())

    async def test_a_console(self) -> None:
        """The command and the nova.conf of the container serve a link of nova; the log has oslo.log's format."""
        self.assertTrue(KOLLA.exists(), "make test-nova installs kolla-ansible")
        written = await self.rendered()
        start = json.loads((written / "config.json").read_text())
        self.assertEqual(start["command"], "nova-novncproxy")
        self.assertEqual([one["dest"] for one in start["config_files"]], ["/etc/nova/nova.conf"])
        conf = (written / "nova.conf").read_text()
        self.assertIn("trusted_proxies = 10.0.0.11", conf)
        logs = Path(self.mktemp()).absolute()
        logs.mkdir()
        (written / "nova.conf").write_text(conf.replace("/var/log/kolla/nova", str(logs)))
        server = await self.server("myserver20")
        self.place(server, self.vnc(instance_name(server)))
        command = [str(ROOT / ".venv" / "bin" / start["command"]), "--config-file", str(written / "nova.conf")]
        proxy = Twistd("nova-novncproxy")
        proxy.process = reactor.spawnProcess(proxy, command[0], command, env=None)
        self.addCleanup(proxy.stop)
        log = logs / "nova-novncproxy.log"
        await self.blocking(lambda: until(lambda: log.exists() and "is ready" in log.read_text(), "the proxy"))
        viewer = await Viewers(self).open(self.url(await self.token(server)))
        self.assertEqual(viewer.name, "myserver20")
        await viewer.leave()
        self.assertEqual(await proxy.stop(signal.SIGTERM), 0)
        self.assertRegex(
            log.read_text(), r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \d+ INFO novnc_twisted\S* \[-\] "
        )
