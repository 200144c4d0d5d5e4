"""Misplaced and misspelt options: one warning for each, and none for nova's own options."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service.configuration import read_configuration

NOVA = """
[DEFAULT]
my_ip = 10.0.0.11
osapi_compute_workers = 4
enabled_apis = osapi_compute,metadata
compute_driver = libvirt.LibvirtDriver
[api]
max_limit = 1000
[vnc]
enabled = true
keymap = en-us
novncproxy_host = 0.0.0.0
[libvirt]
virt_type = kvm
cpu_mode = none
[pci]
alias = x
[spice]
enabled = false
server_listen = 0.0.0.0
server_proxyclient_address = 10.0.0.11
[cinder]
auth_type = password
[oslo_messaging_notifications]
transport_url = rabbit://x
[conductor]
workers = 4
[scheduler]
workers = 4
[profiler]
enabled = true
[site_extension]
host = x
cert = y
"""


class MisplacedTests(SynchronousTestCase):
    def warnings(self, text: str) -> list[str]:
        path = Path(self.mktemp())
        path.write_text(text)
        return [line.removeprefix(str(path)) for line in read_configuration([str(path)])[1]]

    def test_nova_s_own(self) -> None:
        self.assertEqual(self.warnings(NOVA), [])

    def test_an_option_in_the_wrong_section(self) -> None:
        for section, name, right in (
            ("DEFAULT", "token_ttl", "[consoleauth]"),
            ("vnc", "allowed_origins", "[console]"),
            ("vnc", "cert", "[DEFAULT] or [api]"),
            ("api", "osapi_compute_listen", "[DEFAULT]"),
            ("console", "console_token_ttl", "[DEFAULT]"),
        ):
            self.assertEqual(
                self.warnings(f"[{section}]\n{name} = 1\n"),
                [f":2: [{section}] {name} is not read in this section; it belongs in {right}"],
            )

    def test_former_names_are_read_in_their_section(self) -> None:
        self.assertEqual(self.warnings("console_token_ttl = 5\nvncserver_listen = ::1\n"), [])

    def test_a_misspelt_section(self) -> None:
        for wrong, right in (
            ("consoleath", "consoleauth"),
            ("consolauth", "consoleauth"),
            ("console_auth", "consoleauth"),
            ("default", "DEFAULT"),
            ("VNC", "vnc"),
            ("libvrt", "libvirt"),
            ("Api", "api"),
            (" vnc ", "vnc"),
        ):
            self.assertEqual(
                self.warnings(f"[{wrong}]\nanything = 1\n"),
                [f": the section [{wrong}] is not known; did you mean [{right}]?"],
            )

    def test_our_option_in_an_unknown_section(self) -> None:
        self.assertEqual(
            self.warnings("[proxy]\nnovncproxy_port = 1\n"),
            [": the section [proxy] is not known; novncproxy_port belongs in [vnc]"],
        )

    def test_a_misspelt_option(self) -> None:
        for wrong in ("novncproxy_prot", "NoVNCProxy_Port", "novncproxy-port"):
            self.assertEqual(
                self.warnings(f"[vnc]\n{wrong} = 1\n"),
                [f":2: [vnc] {wrong} is not known; did you mean novncproxy_port?"],
            )
