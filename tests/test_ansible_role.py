"""The configuration that the role of contrib/ansible writes; tests/packages/test_ansible.py runs the role."""

from configparser import ConfigParser
from pathlib import Path
from typing import Any

import jinja2
import yaml
from twisted.trial.unittest import SynchronousTestCase

ROLE = Path(__file__).parent.parent / "contrib" / "ansible" / "roles" / "novnc_twisted"
VARIABLES: dict[str, Any] = {
    "hostvars": {},
    "novnc_address": "10.0.0.11",
    "novnc_admin_users": ["admin"],
    "novnc_certificate": "console.pem",
    "novnc_controller": "controller",
    "novnc_name": "console.example.org",
    "novnc_nova_conf": "",
    "novnc_tls": True,
}


def configuration(host: str) -> ConfigParser:
    """The nova.conf of a kind of host with a certificate."""
    # Ansible removes the line break after a block, too.
    environment = jinja2.Environment(trim_blocks=True, autoescape=False)
    text = environment.from_string((ROLE / "templates" / "nova.conf").read_text()).render(VARIABLES, novnc_host=host)
    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    return parser


def groups() -> dict[str, str]:
    """The group of each file that the role creates for TLS."""
    found = {}
    for task in yaml.safe_load((ROLE / "tasks" / "certificate.yml").read_text()):
        for arguments in task.values():
            if isinstance(arguments, dict) and "group" in arguments:
                found[arguments.get("dest") or arguments["path"]] = arguments["group"]
    return found


class KeyTests(SynchronousTestCase):
    """The group of each key is one of the service that reads it (contrib/sysusers.d)."""

    def test_controller(self) -> None:
        conf = configuration("controller")
        self.assertEqual(groups()[conf["DEFAULT"]["key"]], "novnc-proxy")
        self.assertEqual(groups()[conf["api"]["key"]], "novnc-consoleapi")

    def test_one_host(self) -> None:
        conf = configuration("one")
        self.assertEqual(groups()[conf["DEFAULT"]["key"]], "novnc-proxy")
        self.assertEqual(groups()[conf["api"]["key"]], "novnc-proxy")
