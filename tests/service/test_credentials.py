"""[vnc] vencrypt_*: each error is one line at the start, which names the option and the file."""

from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from novnc_twisted.service.configuration import Unusable, read_configuration
from novnc_twisted.service.credentials import UpstreamCredentials, upstream_tls
from tests.support.pki import CA, CLIENT
from tests.support.twistd import Twistd, free_port


class CredentialTests(TestCase):
    timeout = 300

    def conf(self, **options: bytes | str) -> str:
        """Return a configuration with vencrypt; values in bytes are written to files."""
        lines = ["[vnc]"]
        for name, value in ({"auth_schemes": "vencrypt"} | options).items():
            if isinstance(value, bytes):
                path = Path(self.mktemp()).absolute()
                path.write_bytes(value)
                value = str(path)
            lines.append(f"{name} = {value}")
        return "\n".join(lines) + "\n"

    def read(self, text: str) -> object:
        return upstream_tls(self.parsed(text))

    def parsed(self, text: str) -> Any:
        path = Path(self.mktemp()).absolute()
        path.write_text(text)
        conf, warnings = read_configuration([str(path)])
        self.assertEqual(warnings, [])
        return conf

    def test_mistakes(self) -> None:
        ca = CA()
        ours, other = ca.issue(purpose=CLIENT), ca.issue(purpose=CLIENT)
        for option, options in (
            ("vencrypt_ca_certs", {"vencrypt_ca_certs": "/nowhere/ca-cert.pem"}),
            ("vencrypt_ca_certs", {"vencrypt_ca_certs": "/"}),
            ("vencrypt_ca_certs", {"vencrypt_ca_certs": b"no certificate"}),
            ("vencrypt_client_cert", {"vencrypt_client_cert": ca.pem}),
            ("vencrypt_client_key", {"vencrypt_client_cert": ours.cert, "vencrypt_client_key": other.key}),
            ("vencrypt_client_key", {"vencrypt_client_key": ours.key}),
            ("vencrypt_server_name", {"vencrypt_server_name": "https://compute1"}),
            ("vencrypt_server_name", {"vencrypt_server_name": "{name}.example.org"}),
            ("vencrypt_subtypes", {"vencrypt_subtypes": "X509None,Plain"}),
            ("vencrypt_subtypes", {"vencrypt_subtypes": ""}),
            ("auth_schemes", {"auth_schemes": "vencrypt,tight"}),
        ):
            text = self.conf(**options)
            line = str(self.assertRaises(Unusable, self.read, text))
            self.assertIn(f"[vnc] {option}: ", line)
            self.assertNotIn("\n", line)
            self.assertNotIn("PRIVATE", line)
            value = text.partition(f"{option} = ")[2].partition("\n")[0]
            if value.startswith("/"):
                self.assertIn(value, line)

    def test_they_are_not_read_without_vencrypt(self) -> None:
        """A nova.conf may name files that are not on this machine."""
        self.read(self.conf(auth_schemes="none,vnc", vencrypt_ca_certs="/nowhere/ca-cert.pem"))

    def test_read_again(self) -> None:
        """An error at a reload changes nothing."""
        ca, next_ca = CA(), CA()
        text = self.conf(vencrypt_ca_certs=ca.pem)
        file = Path(text.partition("vencrypt_ca_certs = ")[2].strip())
        upstream = UpstreamCredentials(self.parsed(text))
        trusted = upstream.tls._options
        file.write_bytes(b"none")
        self.assertRaises(Unusable, upstream.reload)
        self.assertIs(upstream.tls._options, trusted)
        file.write_bytes(next_ca.pem)
        upstream.reload()
        self.assertIsNot(upstream.tls._options, trusted)
        self.assertTrue(upstream.used)
        self.assertFalse(UpstreamCredentials(self.parsed(self.conf(auth_schemes="none"))).used)

    async def test_good_ones(self) -> None:
        """A real command accepts and reloads good files, and refuses to start without one of them."""
        ca = CA()
        ours = ca.issue(purpose=CLIENT)
        listening = (
            f"[DEFAULT]\nosapi_compute_listen_port = {free_port()}\n[vnc]\nnovncproxy_host = 127.0.0.1\n"
            f"xvpvncproxy_host = 127.0.0.1\nnovncproxy_port = {free_port()}\nxvpvncproxy_port = {free_port()}\n"
            "[libvirt]\nconnection_uri = test:///default\n"
        )
        good = self.conf(
            vencrypt_ca_certs=ca.pem,
            vencrypt_client_cert=ours.cert,
            vencrypt_client_key=ours.key,
            vencrypt_server_name="compute1",
            vencrypt_subtypes="X509Vnc,X509None,TLSVnc,TLSNone",
        )
        process = Twistd.start(self, "console", listening + good)
        await process.ready()
        process.process.signalProcess("HUP")
        await process.seen("certificates were read again")
        self.assertEqual(await process.stop(), 0)
        self.assertNotIn("PRIVATE", process.output)
        wrong = Twistd.start(self, "console", listening + self.conf(vencrypt_ca_certs="/nowhere/ca-cert.pem"))
        self.assertEqual(await wrong.ended, 78)
        self.assertRegex(
            wrong.output,
            r"^console: \S+:\d+: \[vnc\] vencrypt_ca_certs: can't read /nowhere/ca-cert.pem: No such file .*\n$",
        )
