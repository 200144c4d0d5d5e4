"""Values that can never work are refused with one line; usual values are accepted."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service.configuration import Unusable, read_configuration
from novnc_twisted.service.options.table import TABLE

V6 = "2001:db8::1"

ADDRESSES = (
    "DEFAULT.my_ip",
    "DEFAULT.osapi_compute_listen",
    "vnc.server_listen",
    "vnc.server_proxyclient_address",
    "vnc.novncproxy_host",
    "vnc.xvpvncproxy_host",
)
BAD_ADDRESSES = (
    *("", "http://10.0.0.1", "10.0.0.1:5900", f"[{V6}]", f"[{V6}]:80", "localhost:80", "10.0.0.256", "10.0.0", "10"),
    *("10.0.0.1/24", "a b", "no..name", ".", "-x", "x-", "*", "a,b", "münchen.example", "user@host", f"{V6}::", "[::1"),
    *("x" * 64, "a." * 130, "host\\n", "#", "0x7f.1"),
)
GOOD_ADDRESSES = ("10.0.0.1", "::", "0.0.0.0", V6, "fe80::1%eth0", "compute-1.example.", "my_host", "LOCALHOST", "9p")

BASE_URLS = ("vnc.novncproxy_base_url", "vnc.xvpvncproxy_base_url")
BAD_URLS = (
    *("", "controller", "//controller/", "ftp://controller/", "http:/controller", "http://", "http:///vnc_auto.html"),
    *(f"http://[{V6}:6080/vnc_auto.html", f"http://{V6}]:6080/", f"http://{V6}:6080/vnc_auto.html", "http://[x]/"),
    *(
        "http://h:0/",
        "http://h:65536/",
        "http://h:x/",
        "http://h:/",
        "http://h:-1/",
        "http://h: 80/",
        "http://h:6080x/",
    ),
    *(
        "http://h /",
        "http://h/a b",
        "http://h/\tb",
        "http://user:pw@h/",
        "http://user@h/",
        "http://@h/",
        "http://h/#frag",
    ),
    *(
        "http://h/x#",
        "http://10.0.0.256/",
        "http://a..b/",
        "http://h/%zz",
        'http://h/"',
        "http://h\\x/",
        "http://[10.0.0.1]/",
    ),
    *("http://h:6080\\vnc.html", "http://?x", "http://:6080/", "http://h/\x7f", "http://h/ x", "htp://h/", "http//h/"),
)
GOOD_URLS = (
    *("http://controller:6080/vnc_auto.html", f"https://[{V6}]:6080/vnc_auto.html", "HTTP://h", "http://h/?a=b"),
    *("http://h/vnc_lite.html?path=console/websockify", "http://h/%20x", "http://10.0.0.1/", "http://h:65535/"),
)

BAD = {
    **dict.fromkeys(ADDRESSES, BAD_ADDRESSES),
    **dict.fromkeys(BASE_URLS, BAD_URLS),
    "DEFAULT.host": ("", "a b", "compute\u00e91", "x" * 201),
    "DEFAULT.workers": ("", "-1", "two", "1.5", "99999"),
    "DEFAULT.drain_timeout": ("", "nan", "-1", "5m"),
    "DEFAULT.osapi_compute_listen_port": ("", "0", "65536", "-1", "http", "80 81"),
    "DEFAULT.ssl_only": ("", "maybe", "2"),
    "vnc.server_proxyclient_address": ("224.0.0.1", "255.255.255.255", "ff02::1"),
    "vnc.novncproxy_port": ("", "0", "65536", "6080/tcp"),
    "vnc.auth_schemes": ("None", "tls", "vnc;none", "vnc none", "vnc,,none", "none,tls,vnc"),
    "vnc.vencrypt_subtypes": ("x509none", "TLS", "X509None X509Vnc"),
    "vnc.novncproxy_socket": ("run/x", "/run/x/", "/" + "x" * 107, "@x"),
    "vnc.novncproxy_socket_mode": ("600x", "0888", "rw", "1777", "66"),
    "vnc.socket_directories": ("run", "/run/../etc", "/run,,/x", "/run,x"),
    "console.allowed_origins": (
        *("*", "*.example", "https://*", "https://portal.example", "portal.example/", "portal.example:8443", "null"),
        *(f"[{V6}]:443", "a b", "a.example;b.example", "a,,b", "none", "m\u00fcnchen.example", "user@a", "10.0.0"),
        *("[10.0.0.1]", "a..b"),
    ),
    "console.frame_ancestors": (
        *("none", "self", "NONE", "'none", '"self', "'unsafe-inline'", "https", "'self',x;script-src", "https://[::1]"),
        *("a b", "x;y", "https://a:99999", "https://a:x", "http:///x", "10.0.0.256", "'SELF'x", "a.example https://b"),
        *("https://a.example/x;script-src", "10.0.0.0/8;"),
    ),
    "console.trusted_proxies": ("proxy", "10.0.0.0/33", "10.0.0.1:80", "*", "::ffff:10.0.0.1", "a,,b", "a b"),
    "console.idle_timeout": ("", "nan", "inf", "-1", "1e300", "5m", "-inf"),
    "console.ssl_minimum_version": ("", "tlsv1", "TLSv1.2", "1.2"),
    "console.max_sessions": ("", "-1", "many", "1.5"),
    "console.max_sessions_per_user": ("", "-1", "many"),
    "console.max_sessions_per_project": ("", "-1", "many"),
    "console.max_sessions_per_address": ("", "-1", "many"),
    "console.history_retention": ("", "-1", "a week"),
    "console.shield": ("", "perhaps"),
    "consoleauth.token_ttl": ("", "-1", "10m", "1.5", "99999999999999"),
    "api.auth_strategy": ("", "basic", "http-basic", "NoAuth"),
    "keystone_authtoken.www_authenticate_uri": ("controller:5000", "http://", 'http://h/"', "http://user:pw@h/"),
    "keystone_authtoken.token_cache_time": ("", "-2", "5m", "1.5"),
    "api.lockout_time": ("", "nan", "0", "inf"),
    "libvirt.connection_uri": (
        *("qemu", "qemu:/system", "qemu://system", "qemu:///sys", "qemu:///", "qemu+ssh://h:x/system", "test:///"),
        *(f"qemu+tls://{V6}/system", f"qemu+tls://[{V6}/system", "qemu:///system#x", "qemu:/// system", "qemu+tcp://h:0/system"),
    ),
}  # fmt: skip
GOOD = {
    **dict.fromkeys(ADDRESSES, GOOD_ADDRESSES),
    **dict.fromkeys(BASE_URLS, GOOD_URLS),
    "DEFAULT.drain_timeout": ("0", "0.5", "3600"),
    "DEFAULT.host": ("compute1", "compute1.example", "a@b"),
    "console.allowed_origins": ("portal.example", "192.0.2.1", V6, f"[{V6}]", "LOCALHOST", "", "a.example,b.example,"),
    "console.frame_ancestors": (
        *("'none'", "'self'", "a.example:*", "\"'none'\"", "'self',https://*.a:8443/x:y%3B", "*", "https:", "'NONE'"),
    ),
    "console.trusted_proxies": ("10.0.0.0/8", "10.0.0.1/8", V6, f"[{V6}]", f"{V6}/64", ""),
    "console.idle_timeout": ("0", "0.5", "86400"),
    "consoleauth.token_ttl": ("0", "600"),
    "libvirt.connection_uri": (
        *("", "qemu:///system", "qemu:///session", "qemu+unix:///session?socket=/run/x.sock", "test:///default"),
        *("qemu+ssh://root@host:22/system", f"qemu+tls://[{V6}]/system", "lxc:///system", "test:///etc/x.xml"),
        *("qemu:///embed?root=/x", "QEMU:///system"),
    ),
    "vnc.auth_schemes": ("vnc", "vencrypt, none", "none,vnc,"),
}  # fmt: skip


class ValueTests(SynchronousTestCase):
    def lines(self, option: str, value: str) -> list[str]:
        """Return the lines of the error about a value."""
        group, _, name = option.partition(".")
        path = Path(self.mktemp())
        path.write_text(f"[{group}]\n{name} = {value}\n")
        try:
            read_configuration([str(path)])
        except Unusable as error:
            self.assertEqual(error.exit_code, 78)
            text = str(error)
            self.assertTrue(text.startswith(f"{path}:2: [{group}] {name}: "), (value, text))
            return text.split("\n")
        return []

    def test_bad_values(self) -> None:
        for option, values in BAD.items():
            for value in values:
                self.assertEqual(len(self.lines(option, value)), 1, (option, value))

    def test_good_values(self) -> None:
        for option, values in GOOD.items():
            for value in values:
                self.assertEqual(self.lines(option, value), [], (option, value))

    def test_a_trailing_comment_in_any_value(self) -> None:
        """The value is not shown, because it may be a password."""
        for group, options in TABLE.items():
            for option in options:
                for comment in ("# note", "#note", "; note"):
                    (line,) = self.lines(f"{group}.{option.name}", f"hidden {comment}")
                    self.assertIn("on a line of its own", line)
                    self.assertNotIn("hidden", line)

    def test_a_comment_within_a_value_of_several_lines(self) -> None:
        self.assertEqual(len(self.lines("console.allowed_origins", "a.example,\n  # the portal\n  b.example")), 1)

    def test_what_only_looks_like_a_comment(self) -> None:
        for option, value in (
            ("DEFAULT.web", '"/srv/no # vnc"'),
            ("DEFAULT.web", "/srv/no#vnc"),
            ("DEFAULT.transport_url", "redis://:pa#;ss@h"),
        ):
            self.assertEqual(self.lines(option, value), [])

    def test_a_password_in_a_url_is_not_shown(self) -> None:
        for url in (
            *("http://me:secret@h/", "http://me:secret@h:x/", "http://me:secret@[::1/", "http://me:secret@h/ x"),
            *("http://me:se/secret@h/", "http://me:se@secret@h:x/", "http://secret$:x/y@h/", "me:secret@h:80/"),
        ):
            self.assertNotIn("secret", "".join(self.lines("vnc.novncproxy_base_url", url)), url)
            self.assertEqual(len(self.lines("keystone_authtoken.www_authenticate_uri", url)), 1)

    def test_a_value_with_a_mistake_in_each_item_shows_the_first(self) -> None:
        (line,) = self.lines("console.trusted_proxies", "10.0.0.1,first,second")
        self.assertIn("first", line)
        self.assertNotIn("second", line)

    def test_an_ipv4_address_in_ipv6_is_named_with_its_prefix(self) -> None:
        for value, better in (("::ffff:10.0.0.1", "write 10.0.0.1,"), ("::ffff:10.0.0.0/104", "write 10.0.0.0/8,")):
            (line,) = self.lines("console.trusted_proxies", value)
            self.assertIn(better, line)
