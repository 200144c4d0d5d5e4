"""Warnings about a configuration: it works, but probably not as intended."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock

from novnc_twisted.novncproxy import page
from novnc_twisted.service.checks import examine
from novnc_twisted.service.config_warnings import validity
from tests.service.test_checks import OURS, REDIS, CheckCase


class WarningTests(CheckCase):
    def setUp(self) -> None:
        super().setUp()
        built = self.folder / "dist"
        built.mkdir()
        (built / "vnc_lite.html").touch()
        self.patch(page, "SHIPPED", built)

    def warned(self, text: str, command: str = "novncproxy") -> list[str]:
        found = self.examine(REDIS + text, command)
        self.assertEqual(found.errors, [])
        return [line.removeprefix(f"{self.folder}/nova.conf") for line in found.warnings]

    def base(self, url: str, more: str = "") -> str:
        return f"{more}[vnc]\nnovncproxy_base_url = {url}\nxvpvncproxy_base_url = http://h:6081/console\n"

    def test_nothing_to_warn_of(self) -> None:
        text = self.base("http://controller:6080/vnc_auto.html")
        for command in ("console", "novncproxy", "xvpvncproxy", "consolecompute", "consoleauth", "consoleapi"):
            self.assertEqual(self.warned(text, command), [], command)

    def test_links_that_lead_elsewhere(self) -> None:
        tls = self.pair("a")
        for text, words in (
            (self.base("http://h:6090/vnc_auto.html"), "leads to port 6090, but novncproxy_port is 6080"),
            (self.base("http://h/vnc_auto.html"), "leads to port 80"),
            (self.base("http://127.0.0.1:6080/vnc_auto.html"), "their own machine"),
            (self.base("http://[::1]:6080/vnc_auto.html"), "their own machine"),
            (self.base("http://localhost:6080/vnc_auto.html"), "their own machine"),
            (self.base("https://h:6080/vnc_auto.html"), "cert is not set"),
            (self.base("http://h:6080/vnc_auto.html", f"ssl_only = true\n{tls}"), "ssl_only refuses plain"),
        ):
            (line,) = self.warned(text)
            self.assertRegex(line, r"^:\d+: \[vnc\] novncproxy_base_url: ")
            self.assertIn(words, line)

    def test_a_reverse_proxy_that_is_named(self) -> None:
        more = "[console]\ntrusted_proxies = 192.0.2.7\n"
        self.assertEqual(self.warned(self.base("https://h/console/vnc_auto.html") + more), [])

    def test_a_token_plugin_has_no_links(self) -> None:
        source = Path(self.mktemp())
        source.write_text("a: h:1\n")
        text = f"[consoleauth]\nbackend = token_plugin\ntoken_plugin = TokenFile\ntoken_source = {source}\n"
        path = Path(self.mktemp())
        path.write_text(text + "[vnc]\nnovncproxy_port = 7000\n")
        self.assertEqual(examine("novncproxy", [str(path)], MemoryReactorClock()).warnings, [])

    def test_the_compute_host_gives_the_links(self) -> None:
        (line,) = self.warned("", "consolecompute")
        self.assertIn("[vnc] novncproxy_base_url: http://127.0.0.1:6080/vnc_auto.html leads users to their own", line)

    def test_everything_on_one_machine(self) -> None:
        found = self.examine("[vnc]\nnovncproxy_base_url = http://127.0.0.1:6080/vnc_auto.html\n")
        self.assertEqual(found.warnings, [])

    def test_the_java_viewer_needs_a_port(self) -> None:
        found = self.warned("[vnc]\nxvpvncproxy_base_url = http://h/console\n", "xvpvncproxy")
        self.assertEqual(len([line for line in found if "the Java viewer needs" in line]), 1)

    def test_a_web_folder_without_a_page(self) -> None:
        good = self.base("http://h:6080/vnc_auto.html")
        web = self.folder / "web"
        web.mkdir()
        (line,) = self.warned(f"web = {web}\n{good}")
        self.assertIn(f"web: the folder {web} has no page", line)
        (web / "vnc.html").touch()
        (line,) = self.warned(f"web = {web}\n{good}")
        self.assertIn("has no vnc_auto.html, which novncproxy_base_url names", line)
        (web / "vnc_lite.html").touch()
        self.assertEqual(self.warned(f"web = {web}\n{good}"), [])

    def test_the_page_is_not_built(self) -> None:
        good = self.base("http://h:6080/vnc_auto.html")
        missing = self.folder / "missing"
        self.patch(page, "SHIPPED", missing)
        (line,) = self.warned(good)
        self.assertIn(f"web: it is not set, and the folder {missing} does not exist; build the page", line)
        self.assertEqual(self.warned(good, "consoleauth"), [])

    def test_a_web_folder_that_cannot_be_examined(self) -> None:
        """For example, because this user may not search the folder above; here, because its name is too long."""
        web = "/" + "x" * 300
        (line,) = self.examine(f"web = {web}\n{self.base('http://h:6080/vnc_auto.html')}").errors
        self.assertRegex(line, rf":\d+: web: can't examine {web}: File name too long$")

    def test_certificates_out_of_their_time(self) -> None:
        good = self.base("https://h:6080/vnc_auto.html")
        for days, words in (((-2, -1), "expired on"), ((1, 2), "is not valid before")):
            (line,) = self.warned(self.pair("old", days=days) + good)
            self.assertIn(f"cert: the certificate of CN=test {words}", line)
            (line,) = self.warned("[api]\n" + self.pair("api", days=days), "consoleapi")
            self.assertRegex(line, rf"^:\d+: \[api\] cert: .*{words}")
            client = self.pair("client", days=days).replace("cert =", "vencrypt_client_cert =")
            vencrypt = "auth_schemes = vencrypt\n" + client.replace("key =", "vencrypt_client_key =")
            (line,) = self.warned(self.base("http://h:6080/vnc_auto.html") + vencrypt)
            self.assertRegex(line, rf"^:\d+: \[vnc\] vencrypt_client_cert: .*{words}")
        self.assertEqual(self.warned(self.pair("good") + good), [])

    def test_certificates_of_redis(self) -> None:
        old = OURS.issue("x", days=(-2, -1))
        cert, key, ca = self.write("c", old.cert), self.write("k", old.key), self.write("ca", old.cert)
        url = f"transport_url = rediss://192.0.2.1?cert={cert}&key={key}&ca={ca}\n"
        found = self.examine(url, "consoleauth")
        self.assertEqual(found.errors, [])
        for line, path in zip(found.warnings, (cert, ca), strict=True):
            self.assertRegex(line, rf":1: transport_url: the certificate of CN=test expired on .* \({path}\)$")

    def test_certificates_of_a_redis_that_is_not_used(self) -> None:
        """With a token plug-in, a proxy calls no other service."""
        old = self.write("c", OURS.issue("x", days=(-2, -1)).cert)
        source = self.write("tokens", b"a: h:1\n")
        found = self.examine(
            f"transport_url = rediss://192.0.2.1?ca={old}\n[consoleauth]\nbackend = token_plugin\n"
            f"token_plugin = TokenFile\ntoken_source = {source}\n",
            "novncproxy",
        )
        self.assertEqual((found.errors, found.warnings), ([], []))

    def test_options_without_effect(self) -> None:
        """An operator who sets them believes that they have an effect."""
        for section, name, command in (
            ("api", "http_basic_auth_user_file", "consoleapi"),
            ("api", "admin_users", "consoleapi"),
            ("vnc", "vencrypt_ca_certs", "xvpvncproxy"),
            ("vnc", "vencrypt_client_cert", "xvpvncproxy"),
        ):
            text = self.base("http://controller:6080/vnc_auto.html") + f"[{section}]\n{name} = /etc/x\n"
            (line,) = self.warned(text, command)
            self.assertRegex(line, rf"^:\d+: \[{section}\] {name}: it is not used")

    def test_options_that_only_consoleauth_applies(self) -> None:
        """With nova's tokens, each of them that is on causes a warning; with consoleauth's tokens, none does."""
        credentials = "[nova]\nauth_type = password\nauth_url = http://h:5000/v3\nusername = a\npassword = b\n"
        off = "[console]\nmax_sessions_per_user = 0\nsharing = false\n[consoleauth]\none_time = false\n"
        on = {
            "consoleauth": ("max_tokens_per_server", "max_tokens_per_user"),
            "console": (
                *("max_sessions_per_user", "max_sessions_per_project", "max_sessions_per_address"),
                *("history_retention", "hide_administrators", "show_user_names", "sharing", "xvp"),
            ),
        }
        text = "".join(f"[{section}]\n" + "".join(f"{one} = 1\n" for one in names) for section, names in on.items())
        nova = f"transport_url = rabbit://h\n{credentials}"
        self.assertEqual(self.examine(f"{nova}{off}", "novncproxy").warnings, [])
        found = self.examine(f"{nova}{text}", "novncproxy")
        wanted = [f"[{section}] {name}: it is not used" for section, names in on.items() for name in names]
        self.assertEqual(found.errors, [])
        for line, words in zip(found.warnings, wanted, strict=True):
            self.assertIn(words, line)
        base = self.base("http://controller:6080/vnc_auto.html")
        for command in ("novncproxy", "xvpvncproxy", "consoleauth"):
            self.assertEqual(self.warned(text + base, command), [], command)

    def test_beside_errors(self) -> None:
        """Both are reported, but no warning about the default that replaces a refused value."""
        text = self.base("x") + "[consoleauth]\ntoken_ttl = 0\nbind_address = 7\n"
        found = self.examine(f"transport_url = redis://h:x\n{text}", "consoleauth")
        self.assertEqual((len(found.errors), len(found.warnings)), (3, 1), found)
        found = self.examine(REDIS + text.replace("bind_address = 7\n", ""))
        self.assertEqual([line for line in found.warnings if "novncproxy_base_url" in line], [])

    def test_of_authorities_one_is_enough(self) -> None:
        later = datetime.now(UTC) + timedelta(days=11)
        both = self.write("both.pem", OURS.pem + OURS.issue("x", days=(-1, 20)).cert)
        self.assertEqual(list(validity("[console] ssl_client_ca", both, authorities=True, now=later)), [])
        self.assertEqual(len(list(validity("cert", both, now=later))), 1)

    def test_addresses_and_times(self) -> None:
        text = self.base("http://controller:6080/vnc_auto.html")
        (line,) = self.warned(text + "[vnc]\nserver_proxyclient_address = 0.0.0.0\n", "consolecompute")
        self.assertIn("server_proxyclient_address", line)
        (line,) = self.warned(text + "[consoleauth]\ntoken_ttl = 0\n", "consoleauth")
        self.assertIn("no console link is ever valid", line)
