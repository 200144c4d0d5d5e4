"""All errors in a configuration are found before anything is started."""

import re
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service.checks import examine
from tests.support.pki import CA

OURS = CA()
REDIS = "transport_url = redis://192.0.2.1\n"


class CheckCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def write(self, name: str, data: bytes) -> str:
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def examine(self, text: str, command: str = "console") -> Any:
        path = self.write("nova.conf", text.encode())
        return examine(command, [path], MemoryReactorClock())

    def pair(self, name: str, **values: Any) -> str:
        """Return the options of a new certificate and its key."""
        ours = OURS.issue("127.0.0.1", **values)
        return f"cert = {self.write(f'{name}.pem', ours.cert)}\nkey = {self.write(f'{name}.key', ours.key)}\n"


NOVA = (
    "transport_url = rabbit://x:y@h//\n[consoleauth]\nbackend = nova\n[service_user]\nauth_type = password\n"
    "auth_url = http://192.0.2.1/v3\nusername = nova\nproject_name = service\nuser_domain_name = Default\n"
    "project_domain_name = Default\npassword = "
)


class PageSettingsTests(CheckCase):
    def test_a_mistake_in_the_file(self) -> None:
        path = self.write("page.json", b'{"colors": {"bar": "#777777"}}')
        for command in ("novncproxy", "consoleapi", "console"):
            found = self.examine(f"{REDIS if command != 'console' else ''}[console]\npage_settings = {path}\n", command)
            (line,) = found.errors
            self.assertIn("[console] page_settings: colors.bar is too close to medium brightness", line)
        self.assertEqual(self.examine(f"{REDIS}[console]\npage_settings = {path}\n", "consoleauth").errors, [])


class KeystoneErrorTests(CheckCase):
    """Credentials for Keystone: each mistake gives one line that names the option, without a password."""

    def error(self, text: str) -> str:
        (line,) = self.examine(text, "novncproxy").errors
        self.assertNotIn("secret", line)
        return re.sub(r"^\S+:\d+: ", "", line)

    def test_no_credentials(self) -> None:
        """With nova's transport_url, nova checks the tokens, which needs credentials."""
        error = self.error("transport_url = rabbit://x:secret@h//\n")
        self.assertTrue(error.startswith("transport_url: "), error)
        self.assertIn("set auth_type, auth_url and the other log-in options in [nova] (or in [service_user]", error)
        self.assertIn("redis://", error)
        self.assertNotIn("memory://", error)  # only twistd console can use it

    def test_a_dollar(self) -> None:
        for password in ("se$secret", "${secret}", "$secret", "$DEFAULT.secret", "$nova.secret"):
            self.assertRegex(self.error(NOVA + password), r"^\[service_user\] password: .* write \$\$ for a \$")
        for name in ("auth_type", "auth_section"):
            text = f"transport_url = rabbit://x:y@h//\n[service_user]\n{name} = $secret\n"
            self.assertIn(f"[service_user] {name}: ", self.error(text))
        self.assertIn("[service_user] password: it refers to itself", self.error(NOVA + "$password"))
        self.assertEqual(self.examine(NOVA + "se$$secret", "novncproxy").errors, [])

    def test_each_option(self) -> None:
        for name, value in (
            ("timeout", "soon"),
            ("collect_timing", "maybe"),
            ("insecure", "maybe"),
            ("region_name", "$secret"),
            ("cafile", "/nowhere/ca.pem"),
            ("certfile", "/nowhere/cert.pem"),
            ("cafile", "a\0b"),
            ("endpoint_override", "nova"),
            ("auth_url", "keystone:5000/v3"),
            ("auth_url", "https:///v3"),
        ):
            self.assertIn(f"[service_user] {name}: ", self.error(f"{NOVA}x\n{name} = {value}\n"), name)
        endpoint = "endpoint_override = https://nova/v2.1/%(project_id)s"
        self.assertEqual(self.examine(f"{NOVA}x\n{endpoint}\n", "novncproxy").errors, [])

    def test_kinds_of_credentials(self) -> None:
        begin = "transport_url = rabbit://x:y@h//\n[service_user]\n"
        self.assertIn("[service_user] auth_type: ", self.error(f"{begin}auth_type = nosuch\n"))
        self.assertIn("[other] auth_type: it is missing", self.error(f"{begin}auth_section = other\n"))
        self.assertIn(
            "[other] auth_type: ", self.error(f"{begin}auth_section = other\n[other]\nauth_type = password\n")
        )


class ErrorTests(CheckCase):
    def errors(self, text: str, command: str = "console") -> list[str]:
        prefix = f"{self.folder}/nova.conf"
        return [line.removeprefix(prefix) for line in self.examine(text, command).errors]

    def test_all_of_them(self) -> None:
        """Each kind of check reports its errors, but not those that only result from another error."""
        found = self.errors(
            "web = /nowhere/web\ncert = /nowhere/cert\nkey = /nowhere/key\nssl_only = perhaps\n"
            "[vnc]\nnovncproxy_port = 0\nxvpvncproxy_base_url = x\nauth_schemes = vencrypt\n"
            "vencrypt_ca_certs = /nowhere/ca\nvencrypt_client_cert = /nowhere/client\n"
            "[console]\nproxy_protocol = true\nallowed_origins = *\n"
            "[api]\nauth_strategy = http_basic\nkey = /nowhere/api\n"
        )
        self.assertEqual(
            [re.sub(r"^:\d+: ", "", line).partition(": ")[0] for line in found],
            [
                *("[DEFAULT] ssl_only", "[vnc] novncproxy_port", "[vnc] xvpvncproxy_base_url"),
                *("[console] allowed_origins", "[api] http_basic_auth_user_file", "[api] key", "cert", "key"),
                *("[vnc] vencrypt_ca_certs", "[vnc] vencrypt_client_cert", "[console] proxy_protocol", "web"),
            ],
        )

    def test_no_security_type(self) -> None:
        (line,) = self.examine("[vnc]\nauth_schemes =\n").errors
        self.assertRegex(line, r"nova\.conf:2: \[vnc\] auth_schemes: it is empty, ")

    def test_mistakes_of_form_in_each_file(self) -> None:
        first, second = self.write("a", b"nonsense\n  of two lines\nhost = a\nmore\n"), self.write("b", b"[vnc\n")
        found = examine("console", [first, "/nowhere", second], MemoryReactorClock())
        self.assertEqual(len(found.errors), 4, found.errors)
        for line, words in zip(found.errors, ("a: line 1", "a: line 4", "/nowhere: No such", "b: line 1"), strict=True):
            self.assertIn(words, line)

    def test_a_file_that_is_not_a_configuration_shows_some_lines(self) -> None:
        self.assertEqual(len(self.examine("x\n" * 1000).errors), 20)

    def test_an_option_that_is_refused_is_not_judged_further(self) -> None:
        (line,) = self.errors("transport_url = redis://:$x@h\n", "consoleauth")
        self.assertIn("$$", line)

    def test_each_command_needs_a_bus(self) -> None:
        for command in ("consoleauth", "consolecompute", "consoleapi", "novncproxy", "xvpvncproxy"):
            (line,) = self.errors("", command)
            self.assertIn("transport_url: memory:// is for twistd console", line)
            self.assertEqual(self.errors(REDIS, command), [])

    def test_urls_of_redis(self) -> None:
        for url in (
            *(
                "redis://",
                "redis://h:0",
                "redis://[::1",
                "redis://::1:6379",
                "redis://h/x",
                "redis://h x/",
                "redis://h#x",
            ),
            *(
                "redis://h:6379x",
                "rediss://h?ca=/nowhere",
                "redis+unix://",
                "redis+sentinel://h",
                "rabbit://h",
                "redis:/h",
            ),
            *("", "h:6379", "memory://x", "redis://a..b", "redis://10.0.0.256"),
        ):
            found = self.errors(f"transport_url = {url}\n", "consoleauth")
            self.assertEqual(len(found), 1, (url, found))
            self.assertIn("transport_url: ", found[0])

    def test_only_what_a_command_needs(self) -> None:
        text = f"{REDIS}cert = /nowhere/cert\nweb = /nowhere/web\n[api]\ncert = /nowhere/api\n"
        self.assertEqual(self.errors(text, "consoleauth"), [])
        self.assertEqual(len(self.errors(text, "consoleapi")), 1)
        self.assertEqual(len(self.errors(text, "xvpvncproxy")), 1)
        self.assertEqual(len(self.errors(text, "novncproxy")), 2)

    def test_a_key_of_another_certificate(self) -> None:
        other = self.write("other.key", OURS.issue("127.0.0.1").key)
        text = self.pair("a").splitlines()[0] + f"\nkey = {other}\n"
        self.assertEqual(self.errors(text), [f":2: key: the key is not the one of the certificate ({other})"])

    def test_the_users_of_the_api(self) -> None:
        users = self.write("users", b"root:$2b$12$" + b"a" * 53 + b"\n")
        basic = f"{REDIS}[api]\nauth_strategy = http_basic\nhttp_basic_auth_user_file = "
        found = self.examine(f"{basic}{users}\n", "consoleapi")
        self.assertEqual((found.errors, found.warnings, len(found.logged_later)), ([], [], 1))
        self.write("users", b"root:secret\n")
        (line,) = self.errors(f"{basic}{users}\n", "consoleapi")
        self.assertIn(f"[api] http_basic_auth_user_file: {users}, line 1: no bcrypt hash", line)
        self.assertNotIn("secret", line)
        (line,) = self.errors(f"{basic}/nowhere\n", "consoleapi")
        self.assertIn("[api] http_basic_auth_user_file: /nowhere: No such file", line)

    def test_users_of_a_keystone(self) -> None:
        begin = f"{REDIS}osapi_compute_listen = 192.0.2.1\n[api]\nauth_strategy = keystone\n"
        section = "[keystone_authtoken]\n"
        password = f"{section}auth_type = password\nusername = nova\npassword = a-password\nuser_domain_id = default\n"
        url = "auth_url = http://controller:5000/v3\n"
        self.assertEqual(self.errors(f"{begin}{password}{url}", "consoleapi"), [])
        other = f"{begin}[nova]\n{password.removeprefix(section)}{url}"
        self.assertEqual(self.errors(other, "consoleapi"), [])
        for text, words in (
            (begin, "[api] auth_strategy: keystone needs credentials"),
            (f"{begin}{password}", "auth_url"),
            (f"{begin}{password}auth_url = controller:5000\n", "[keystone_authtoken] auth_url: controller:5000 is not"),
            (f"{begin}{section}auth_type = nosuch\n", "[keystone_authtoken] auth_type: "),
            (
                f"{begin}{section}auth_type = none\nendpoint = http://x\n",
                "[keystone_authtoken] auth_type: this type does not log in",
            ),
            (f"{begin}{password}{url}www_authenticate_uri = x\n", "[keystone_authtoken] www_authenticate_uri: "),
            (f"{begin}{password}{url}token_cache_time = soon\n", "[keystone_authtoken] token_cache_time: "),
        ):
            (line,) = self.errors(text, "consoleapi")
            self.assertIn(words, line)
            self.assertNotIn("a-password", line)

    def test_two_parts_on_one_port(self) -> None:
        same = "[vnc]\nnovncproxy_port = 7000\nxvpvncproxy_port = 7000\n"
        self.assertEqual(
            self.errors(same),
            [
                ":3: [vnc] xvpvncproxy_port: 7000 is also the port of [vnc] novncproxy_port; use another port for one "
                "of them"
            ],
        )
        (line,) = self.errors("[vnc]\nnovncproxy_port = 8774\n")
        self.assertIn("8774 is also the port of osapi_compute_listen_port", line)
        apart = "novncproxy_host = 127.0.0.1\nxvpvncproxy_host = 127.0.0.2\n"
        self.assertEqual(self.errors(same + apart), [])
        self.assertEqual(self.errors(REDIS + same, "novncproxy"), [])

    def test_addresses_of_one_port(self) -> None:
        """Only ``::`` means IPv4 as well; other IPv6 addresses, even ``0::0``, do not (``open_socket``)."""
        for one, other, together in (
            ("0.0.0.0", "127.0.0.1", False),
            ("0.0.0.0", "localhost", False),
            ("::", "127.0.0.1", False),
            ("::", "::1", False),
            ("0::0", "::1", False),
            ("::1", "0:0:0:0:0:0:0:1", False),
            ("Control", "control", False),
            ("0.0.0.0", "::1", True),
            ("0.0.0.0", "0::0", True),
            ("127.0.0.1", "::1", True),
            ("control", "127.0.0.1", True),
        ):
            for novnc, xvp in ((one, other), (other, one)):
                hosts = f"novncproxy_host = {novnc}\nxvpvncproxy_host = {xvp}\n"
                found = self.errors(f"[vnc]\nnovncproxy_port = 7000\nxvpvncproxy_port = 7000\n{hosts}")
                self.assertEqual(len(found), int(not together), (novnc, xvp, found))

    def test_empty_values_that_mean_nothing_is_set(self) -> None:
        empty = "web =\ncert =\nkey =\n[console]\nssl_ciphers =\nssl_client_ca =\n[libvirt]\nconnection_uri =\n"
        self.assertEqual(self.errors(empty), [])
