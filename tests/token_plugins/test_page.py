"""docs/websockify.rst names all options of websockify, all token plug-ins, and options that we have."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service.options.table import TABLE
from novnc_twisted.token_plugins import NAMES

PAGE = Path(__file__).parents[2] / "docs" / "websockify.rst"

OPTIONS = """verbose traffic record daemon run-once timeout idle-timeout cert key key-password ssl-only ssl-target
verify-client cafile ssl-version ssl-ciphers unix-listen unix-listen-mode unix-target inetd web web-auth wrap-mode
prefer-ipv6 libserver target-config token-plugin token-source host-token auth-plugin auth-source heartbeat log-file
syslog legacy-syslog file-only"""
"""All options of websockify 0.13."""


class PageTests(SynchronousTestCase):
    def test_each_option_and_plugin(self) -> None:
        text = PAGE.read_text()
        for name in OPTIONS.split():
            self.assertIn(f"``--{name}``", text)
        for name in NAMES:
            self.assertIn(f"   * - ``{name}``", text)

    def test_our_options_exist(self) -> None:
        ours = {option.name for options in TABLE.values() for option in options}
        for name in (
            *(
                "token_plugin",
                "token_source",
                "novncproxy_socket",
                "novncproxy_socket_mode",
                "ping_interval",
                "log_file",
            ),
            *("ssl_client_ca", "ssl_minimum_version", "ssl_ciphers", "allowed_origins", "idle_timeout", "debug", "web"),
        ):
            self.assertIn(name, ours)
            self.assertIn(name, PAGE.read_text())
