"""TLS and the PROXY protocol in the commands: options, mistakes, SIGHUP, and unmodified clients."""

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from novnc_twisted.service.configuration import read_configuration
from novnc_twisted.service.flagfile import Unusable
from novnc_twisted.service.tls_options import TLSOptions
from tests.api.harness import quick_hash
from tests.service.harness import ProxyCase
from tests.service.test_commands import alone
from tests.session.harness import Raw
from tests.support.forked import output_and_value
from tests.support.pki import CA, Credential
from tests.support.twistd import Twistd, free_port
from tests.support.viewer import Viewers

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "front-tls.conf"
OURS, OTHER = CA(), CA("another CA")


class Files:
    def __init__(self, case: TestCase) -> None:
        self.folder = Path(case.mktemp()).absolute()
        self.folder.mkdir()

    def write(self, name: str, data: bytes) -> str:
        path = self.folder / f"{name}.pem"
        path.write_bytes(data)
        return str(path)

    def credential(self, credential: Credential, name: str = "") -> tuple[str, str]:
        return self.write(f"{name}cert", credential.cert), self.write(f"{name}key", credential.key)


def trusting(ca: CA) -> Any:
    """Return the TLS options of a client that trusts this CA."""
    return ssl.optionsForClientTLS("127.0.0.1", ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(ca.pem)]))


class MistakeTests(TestCase):
    """A mistake is reported in one line, which names the option and the file."""

    timeout = 300

    def setUp(self) -> None:
        self.files = Files(self)
        self.cert, self.key = self.files.credential(OURS.issue("127.0.0.1"))
        self.other = self.files.credential(OURS.issue("127.0.0.1"), "other-")[1]

    def refused(self, conf: str, *names: str) -> None:
        path = Path(self.mktemp())
        path.write_text(conf)
        with self.assertRaises(Unusable) as caught:
            options, _ = read_configuration([str(path)])
            TLSOptions.of_proxies(options).load()
            TLSOptions.of_api(options).load()
        line = str(caught.exception)
        self.assertNotIn("\n", line)
        for name in names:
            self.assertIn(name, line)

    def test_files(self) -> None:
        nothing, missing = self.files.write("nothing", b"nothing"), f"{self.files.folder}/missing.pem"
        self.refused(f"cert = {missing}", "cert: can't read", missing)
        self.refused(f"cert = {self.files.folder}", "cert: can't read", str(self.files.folder))
        self.refused(f"cert = {nothing}", "cert: no certificate", nothing)
        self.refused(f"cert = {self.cert}", "cert: no private key", self.cert)
        self.refused(f"cert = {self.cert}\nkey = {missing}", "key: can't read", missing)
        self.refused(f"cert = {self.cert}\nkey = {nothing}", "key: no private key", nothing)
        self.refused(f"cert = {self.cert}\nkey = {self.other}", "key: the key is not the one", self.other)
        self.refused(f"[api]\ncert = {self.cert}\nkey = {self.other}", "[api] key: the key is not the one", self.other)
        only = f"cert = {self.cert}\nkey = {self.key}\nssl_only = true\n[console]\nssl_client_ca = "
        self.refused(only + missing, "[console] ssl_client_ca: can't read", missing)
        self.refused(only + nothing, "[console] ssl_client_ca: no certificate", nothing)

    def test_one_without_the_other(self) -> None:
        """No service starts without the TLS or the client certificates that its operator expects."""
        good = f"cert = {self.cert}\nkey = {self.key}\n"
        self.refused(f"key = {self.key}", "key: it needs cert")
        self.refused("ssl_only = true", "ssl_only: it needs cert")
        self.refused(f"[api]\nkey = {self.key}", "[api] key: it needs [api] cert")
        self.refused(f"[console]\nssl_client_ca = {self.cert}", "ssl_client_ca: it needs cert")
        self.refused(f"{good}[console]\nssl_client_ca = {self.cert}", "ssl_client_ca: it needs ssl_only")

    def test_rules(self) -> None:
        good = f"cert = {self.cert}\nkey = {self.key}\n"
        self.refused(f"{good}[console]\nssl_ciphers = NONSENSE", "[console] ssl_ciphers", "NONSENSE")
        self.refused(f"{good}[console]\nssl_minimum_version = sslv3", "ssl_minimum_version", "sslv3")

    def test_the_documents_example(self) -> None:
        """It works without further options."""
        text = EXAMPLE.read_text()
        text = text.replace("/etc/nova/tls/console.pem", self.cert).replace("/etc/nova/tls/console-key.pem", self.key)
        path = Path(self.mktemp())
        path.write_text(text)
        options, warnings = read_configuration([str(path)])
        self.assertEqual(warnings, [])
        self.assertIsNotNone(TLSOptions.of_proxies(options).load())
        self.assertIsNotNone(TLSOptions.of_api(options).load())

    async def test_at_start(self) -> None:
        """Only this line is printed."""
        missing = f"{self.files.folder}/missing.pem"
        for conf, *names in (
            (alone(cert=missing), "cert:", missing),
            (alone(cert=self.cert, key=self.other), "key:", self.other),
            (alone() + f"\n[api]\ncert = {missing}\n", "[api] cert:", missing),
            (alone() + "\n[console]\nproxy_protocol = true\n", "[console] proxy_protocol:", "trusted_proxies"),
        ):
            process = Twistd.start(self, "console", conf)
            self.assertEqual(await process.ended, 78)
            self.assertEqual(process.output.count("\n"), 1, process.output)
            for name in names:
                self.assertIn(name, process.output)


class ReloadTests(ProxyCase):
    """SIGHUP to the first process, while a session lives in a worker."""

    async def both(self, text: str) -> None:
        """Wait until each of the two workers has logged this text."""
        while len(set(re.findall(rf"worker (\d) [^\n]*{text}", self.proxy.output))) < 2:
            await self.proxy.more()

    async def works(self, ca: CA) -> None:
        """Check that a new session opens, with a certificate of this CA."""
        viewers = Viewers(self, tls=trusting(ca))
        await (await viewers.open(self.url.replace("http", "https"))).leave()
        await self.vnc.live.get()

    async def test_a_session_lives_on(self) -> None:
        await self.begin()
        files = Files(self)
        cert, key = files.credential(OURS.issue("127.0.0.1"))
        conf = self.conf(2, cert=cert, key=key, ssl_only="true")
        conf += f"\n[vnc]\nnovncproxy_base_url = https://127.0.0.1:{self.port}/vnc_auto.html\n"
        self.proxy = Twistd.start(self, "novncproxy", conf)
        await self.proxy.ready()
        viewer = await Viewers(self, tls=trusting(OURS)).open(self.url.replace("http", "https"))
        connection = await self.vnc.live.get()

        files.credential(OTHER.issue("127.0.0.1"))
        self.proxy.process.signalProcess(signal.SIGHUP)
        await self.both("certificates were read again")
        await self.works(OTHER)

        files.write("key", b"a secret that is no key")
        self.proxy.process.signalProcess(signal.SIGHUP)
        await self.proxy.seen("the previous files stay in use")
        await self.works(OTHER)
        lines = [line for line in self.proxy.output.splitlines() if "stay in use" in line]
        self.assertEqual(len(lines), 1)
        self.assertIn(f"key: no private key in PEM form ({key})", lines[0])
        self.assertNotIn("a secret", self.proxy.output)

        viewer.press("x")
        while (await connection.inbox.get())[0] != 4:
            pass
        self.assertNotIn("started again", self.proxy.output)
        self.assertNotIn("Traceback", self.proxy.output)
        self.assertEqual(await self.proxy.stop(), 0)

    async def test_without_tls(self) -> None:
        """A reload logs that there is no certificate."""
        await self.begin()
        self.proxy = await self.started(workers=1)
        self.proxy.process.signalProcess(signal.SIGHUP)
        await self.proxy.seen("reload: no certificate to read again")
        self.assertEqual(await self.proxy.stop(), 0)


class ConsoleTests(TestCase):
    """All services in one process, the API with TLS."""

    timeout = 300

    async def connected(self, port: int, tls: Any | None = None) -> Raw:
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        return await (endpoint if tls is None else wrapClientTLS(tls, endpoint)).connect(factory)

    async def test_novaclient(self) -> None:
        """It works with OS_CACERT and our identity service, whose links are https; SIGHUP reloads the API's files."""
        files = Files(self)
        cert, key = files.credential(OURS.issue("127.0.0.1"))
        ca, users = files.write("ca", OURS.pem), files.write("users", f"admin:{quick_hash('s3cret')}\n".encode())
        port = free_port()
        conf = alone() + (
            f"\n[DEFAULT]\nosapi_compute_listen_port = {port}\n[api]\nauth_strategy = http_basic\n"
            f"http_basic_auth_user_file = {users}\nadmin_users = admin\ncert = {cert}\nkey = {key}\n"
        )
        process = Twistd.start(self, "console", conf)
        await process.ready()
        await process.seen("connected to libvirt")
        env = {name: value for name, value in os.environ.items() if not re.match(r"(?i)OS_|.*_proxy$", name)}
        env |= {
            "HOME": self.mktemp(),
            "PYTHONWARNINGS": "ignore",
            "OS_AUTH_URL": f"https://127.0.0.1:{port}/identity",
            "OS_CACERT": ca,
            "OS_USERNAME": "admin",
            "OS_PASSWORD": "s3cret",
            "OS_PROJECT_NAME": "any",
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
        }
        nova = str(Path(sys.executable).with_name("nova"))
        out, errors, code = await output_and_value([nova, "list"], env)
        self.assertEqual(code, 0, out + errors)
        self.assertRegex(out.decode(), r"\| test +\|")
        _, _, code = await output_and_value([nova, "list"], env | {"OS_CACERT": files.write("o", OTHER.pem)})
        self.assertNotEqual(code, 0)

        plain = await self.connected(port)
        plain.write(b"GET /v2.1/servers HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self.assertTrue((await plain.everything()).startswith(b"HTTP/1.1 400 This port takes TLS only"))

        files.credential(OTHER.issue("127.0.0.1"))
        process.process.signalProcess(signal.SIGHUP)
        await process.seen("certificates were read again")
        client = await self.connected(port, trusting(OTHER))
        client.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        self.assertIn(b"https://127.0.0.1", await client.everything())
        await process.stop()
        self.assertNotIn("Traceback", process.output)

    async def test_proxy_protocol(self) -> None:
        """The option applies to both fronts, but not to the API."""
        xvp, novnc, api = free_port(), free_port(), free_port()
        ports = f"\n[vnc]\nnovncproxy_port = {novnc}\nxvpvncproxy_port = {xvp}\n"
        more = f"[DEFAULT]\nosapi_compute_listen_port = {api}\n"
        process = Twistd.start(
            self, "console", alone() + ports + more + "[console]\nproxy_protocol = true\ntrusted_proxies = 127.0.0.1\n"
        )
        await process.ready()
        header = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 6081\r\n"
        request = b"GET /console?token=any HTTP/1.0\r\n\r\n"
        for port, begin, expected in (
            (xvp, header, b"HTTP/1.1 401 "),
            (novnc, header, b"HTTP/1.1 404 "),
            (xvp, b"", b""),
            (novnc, b"", b""),
            (api, b"", b"HTTP/1.0 403 "),
        ):
            client = await self.connected(port)
            client.write(begin + request)
            self.assertEqual((await client.everything())[: len(b"HTTP/1.1 404 ")], expected)
        await process.seen("192.0.2.7")
        await process.stop()
