"""Configuration files: those of known guides, and the errors and warnings about mistakes."""

from pathlib import Path

from twisted.trial.unittest import TestCase

from novnc_twisted.access.origin import FORBIDDEN, judge_origin
from novnc_twisted.service.configuration import Unusable, read_configuration

FILES = Path(__file__).parent / "files"


class ConfigurationTests(TestCase):
    def read(self, *texts: str):
        paths = []
        for text in texts:
            path = Path(self.mktemp())
            path.write_text(text)
            paths.append(str(path))
        return read_configuration(paths)

    def unusable(self, text: str) -> str:
        line = str(self.assertRaises(Unusable, self.read, text))
        self.assertNotIn("\n", line)
        return line

    def test_without_a_file_nothing_is_read(self) -> None:
        conf, warnings = read_configuration([])
        self.assertEqual(conf.transport_url, "memory://")
        self.assertEqual(conf.vnc.novncproxy_port, 6080)
        self.assertEqual(conf.vnc.socket_directories, ["/var/lib/libvirt/qemu", "/run/libvirt/qemu"])
        self.assertEqual(warnings, [])

    def test_the_2012_mailing_list_description(self) -> None:
        conf, warnings = read_configuration([str(FILES / "mail.conf")])
        self.assertEqual(conf.vnc.novncproxy_base_url, "http://controlnode:6080/vnc_auto.html")
        self.assertEqual(conf.vnc.xvpvncproxy_base_url, "http://controlnode:6081/console")
        self.assertEqual(conf.vnc.server_listen, "controlnode")
        self.assertEqual(conf.vnc.server_proxyclient_address, "controlnode")
        self.assertEqual(warnings, [])

    def test_an_essex_flag_file(self) -> None:
        conf, warnings = read_configuration([str(FILES / "essex.flags")])
        self.assertEqual(conf.vnc.server_proxyclient_address, "10.0.0.2")
        self.assertEqual(conf.vnc.novncproxy_port, 6090)
        self.assertEqual(conf.consoleauth.token_ttl, 300)
        self.assertEqual(conf.libvirt.connection_uri, "qemu+unix:///system")
        (warning,) = warnings
        self.assertIn(":16: [DEFAULT] enforce_session_timeout is not read in this section", warning)

    def test_the_install_guide(self) -> None:
        conf, warnings = read_configuration([str(FILES / "install-guide.conf")])
        self.assertEqual(conf.vnc.server_listen, "10.0.0.11")
        self.assertEqual(conf.vnc.server_proxyclient_address, "10.0.0.11")
        self.assertEqual(conf.api.auth_strategy, "keystone")
        self.assertEqual(warnings, [])

    def test_later_files_win(self) -> None:
        conf, _ = self.read("[vnc]\nnovncproxy_port = 1\nxvpvncproxy_port = 2\n", "[vnc]\nnovncproxy_port = 3\n")
        self.assertEqual((conf.vnc.novncproxy_port, conf.vnc.xvpvncproxy_port), (3, 2))

    def test_a_name_of_the_file_s_own_resolves(self) -> None:
        conf, _ = self.read("my_management_ip = 10.1.1.1\n[vnc]\nserver_proxyclient_address = $my_management_ip\n")
        self.assertEqual(conf.vnc.server_proxyclient_address, "10.1.1.1")

    def test_a_name_that_nothing_defines(self) -> None:
        line = self.unusable("[vnc]\nserver_listen = $nowhere\n")
        self.assertIn(":2: [vnc] server_listen: $nowhere is read as another option", line)
        self.assertIn("write $$", line)

    def test_a_dollar_in_a_password(self) -> None:
        """The error says how to write it, and contains nothing of the password."""
        for written in ("pa$word", "pa${word}", "$word", "pa$wo.rd"):
            line = self.unusable(f"transport_url = redis://:{written}@192.0.2.1\n")
            self.assertRegex(line, r"^\S+:1: \[DEFAULT\] transport_url: .*\$\$.*%24")
            self.assertNotIn("wo", line.partition("transport_url")[2])
        for written in ("pa$$word", "pa%24word", "pa\\$word"):
            conf, _ = self.read(f"transport_url = redis://:{written}@192.0.2.1\n")
            self.assertIn(conf.transport_url, ("redis://:pa$word@192.0.2.1", "redis://:pa%24word@192.0.2.1"))

    def test_an_option_that_refers_to_itself(self) -> None:
        for text in ("host = $host\n", "my_ip = $my_ip\n", "a = $b\nb = $a\nhost = $a\n"):
            self.assertIn("refers to itself", self.unusable(text))

    def test_a_wrong_value_names_file_and_option(self) -> None:
        line = self.unusable("[vnc]\nnovncproxy_port = 66666\n")
        self.assertRegex(line, r"^\S+: \[vnc\] novncproxy_port: .*65535")

    def test_a_wrong_value_under_a_former_name(self) -> None:
        self.assertIn("token_ttl", self.unusable("console_token_ttl = soon\n"))

    def test_a_ttl_of_zero(self) -> None:
        conf, _ = self.read("[consoleauth]\ntoken_ttl = 0\n")
        self.assertEqual(conf.consoleauth.token_ttl, 0)
        self.assertIn("[consoleauth] token_ttl", self.unusable("[consoleauth]\ntoken_ttl = -1\n"))

    def test_an_unknown_scheme(self) -> None:
        self.assertIn("[vnc] auth_schemes", self.unusable("[vnc]\nauth_schemes = none,tls\n"))

    def test_items_of_lists(self) -> None:
        for section, option, wrong in (
            ("console", "trusted_proxies", "10.0.0.0/8,proxy"),
            ("console", "frame_ancestors", "'self',x;script-src"),
            ("vnc", "socket_directories", "/run/libvirt,qemu"),
            ("vnc", "socket_directories", "/run/../etc"),
        ):
            self.assertIn(f"[{section}] {option}", self.unusable(f"[{section}]\n{option} = {wrong}\n"))

    def test_a_host_without_a_name(self) -> None:
        self.assertIn("[DEFAULT] host", self.unusable("host =\n"))

    def test_quotes(self) -> None:
        """One pair of quotes is removed; the text inside is unchanged."""
        for written, read in (
            ('" a "', " a "),
            ("' a'", " a"),
            ("\"'a'\"", "'a'"),
            ('""a""', '"a"'),
            ('"a', '"a'),
            ('a"', 'a"'),
            ("a = b", "a = b"),
        ):
            conf, _ = self.read(f"[console]\nssl_ciphers = {written}\n")
            self.assertEqual(conf.console.ssl_ciphers, read, written)

    def test_names_that_would_be_read_as_something_else(self) -> None:
        """oslo.config reads a text that we write: these names would become a section, a comment or a continuation."""
        for line in (
            "--[vnc",
            "--[vnc]",
            "--#host = a",
            "--;host",
            "--",
            "-- = a",
            "--  --host = a",
        ):
            said = self.unusable(f"[DEFAULT]\nhost = a\n{line}\nmy_ip = b\n")
            self.assertIn("line 3: ", said)

    def test_a_comment_after_a_flag(self) -> None:
        """It is refused as after a value, and ignored after an option that is not ours."""
        for line in (
            "--ssl_only # plain connections are refused",
            "--ssl_only\t; see a = b",
            "--nossl_only # as in 2012: a test",
            "ssl_only # plain connections are refused = true",
            "ssl_only = true # plain connections are refused",
        ):
            self.assertIn(":2: [DEFAULT] ssl_only: the value seems to end with a comment", self.unusable(f"\n{line}\n"))
            _, warnings = self.read(line.replace("ssl_only", "use_forwarded_for"))
            self.assertEqual(warnings, [])

    def test_a_line_that_is_not_an_assignment_names_its_number_only(self) -> None:
        line = self.unusable("[DEFAULT]\nhost = a\nsecretword\n")
        self.assertIn("line 3", line)
        self.assertNotIn("secretword", line)

    def test_a_missing_file(self) -> None:
        error = self.assertRaises(Unusable, read_configuration, ["/nowhere/nova.conf"])
        self.assertEqual(error.exit_code, 78)
        self.assertEqual(str(error), "--config-file /nowhere/nova.conf: No such file or directory")

    def test_a_near_miss_is_warned_of(self) -> None:
        _, warnings = self.read("[vnc]\nnovncproxy_base_ulr = http://x/\n")
        self.assertEqual(len(warnings), 1)
        self.assertIn("did you mean novncproxy_base_url?", warnings[0])

    def test_origins_that_are_refused_never_match(self) -> None:
        for item, origin in (
            ("https://portal.example", "https://portal.example"),
            ("portal.example/", "https://portal.example"),
            ("portal.example:8443", "https://portal.example:8443"),
            ("[2001:db8::1]:443", "https://[2001:db8::1]:443"),
        ):
            self.assertEqual(judge_origin([origin], ["console"], scheme="https", allowed=(item,)), FORBIDDEN)

    def test_a_byte_order_mark(self) -> None:
        """Some editors write it at the start: before a section, an option or a comment."""
        for text in ("[vnc]\nnovncproxy_port = 7\n", "novncproxy_port = 7\n", "# ours\n[vnc]\nnovncproxy_port = 7\n"):
            conf, warnings = self.read("\ufeff" + text)
            self.assertEqual((conf.vnc.novncproxy_port, warnings), (7, []))

    def test_unknown_options_are_ignored(self) -> None:
        _, warnings = self.read("image_service = x\n[scheduler]\nworkers = 4\n")
        self.assertEqual(warnings, [])

    def test_no_descriptor_is_left(self) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            self.read("[vnc]\nnovncproxy_port = 1\n")
        self.assertEqual(len(list(Path("/proc/self/fd").iterdir())), before)
