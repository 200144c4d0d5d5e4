"""``twistd novncproxy`` with a token plug-in of websockify."""

import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

from joserfc import jwk, jws
from twisted.internet import reactor
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted.service.checks import examine
from tests.service.test_workers import Notified
from tests.session.harness import HANDSHAKE, Raw
from tests.support.twistd import Twistd, free_port
from tests.support.viewer import Viewers
from tests.support.vnc_server import FakeVNCServer


class Mistakes(SynchronousTestCase):
    def errors(self, options: str, command: str = "novncproxy") -> list[str]:
        path = Path(self.mktemp())
        path.write_text(f"[consoleauth]\nbackend = token_plugin\n{options}\n")
        return [line.partition("[consoleauth] ")[2] for line in examine(command, [str(path)], reactor).errors]

    def test_each(self) -> None:
        source = Path(self.mktemp())
        source.write_text("a: h:1\n")
        good = f"token_plugin = TokenFile\ntoken_source = {source}\n"
        self.assertEqual(self.errors(good), [])
        for options, line in (
            ("", "token_plugin: it is missing, but backend = token_plugin needs it"),
            ("token_plugin = TokenFile", "token_source: it is missing, but backend = token_plugin needs it"),
            ("token_plugin = TokenFile\ntoken_source = /nowhere", "token_source: /nowhere: No such file or directory"),
            (
                f"token_plugin = UnixDomainSocketDirectory\ntoken_source = /{'x' * 300}",
                f"token_source: can't examine /{'x' * 300}: File name too long",
            ),
            ("token_plugin = TokenRedis\ntoken_source = h:x:0:secret", "token_source: not of the form host[:port[:db"),
            (
                "token_plugin = TokenRedis\ntoken_source = rediss://h?ca=/nowhere",
                "token_source: ca=/nowhere cannot be read",
            ),
            (good + "one_time = true", "one_time: it can't be used with backend token_plugin"),
            (good + "bind_address = true", "bind_address: it can't be used"),
            ("token_plugin = MyPlugin\ntoken_source = x", "token_plugin: Valid values are [TokenFile, "),
            (
                "token_plugin = JSONTokenApi\ntoken_source = http://h/%s",
                "token_source: plain http is for this machine alone",
            ),
        ):
            found = self.errors(options)
            self.assertEqual(len(found), 1, found)
            self.assertTrue(found[0].startswith(line), found)
            self.assertNotIn("secret", found[0])
        self.assertIn("xvpvncproxy cannot be used", self.errors(good, "xvpvncproxy")[0])


class ProxyTests(TestCase):
    timeout = 300

    async def test_a_proxy_without_other_services(self) -> None:
        """A file, sockets and JWTs: consoles open, unknown tokens are refused, and no token is printed."""
        folder = Path(tempfile.mkdtemp())  # a unix socket's path must be short
        self.addCleanup(shutil.rmtree, folder)
        vnc = reactor.listenTCP(0, FakeVNCServer(), interface="127.0.0.1")
        self.addCleanup(vnc.stopListening)
        port = vnc.getHost().port
        (folder / "sockets").mkdir()
        unix = reactor.listenUNIX(str(folder / "sockets" / "vm1"), FakeVNCServer())
        self.addCleanup(unix.stopListening)
        (folder / "tokens").write_text(f"secret-token: 127.0.0.1:{port}\nbad line\n")
        key = jwk.RSAKey.generate_key(2048)
        (folder / "key.pem").write_bytes(key.as_pem(private=False))
        claims = f'{{"host": "127.0.0.1", "port": {port}, "exp": 9999999999}}'
        jwt = jws.serialize_compact({"alg": "RS256"}, claims, key)
        running = []
        for plugin, source, token in (
            ("TokenFile", "tokens", "secret-token"),
            ("UnixDomainSocketDirectory", "sockets", "vm1"),
            ("JWTTokenApi", "key.pem", jwt),
        ):
            listens = free_port()
            conf = f"[vnc]\nnovncproxy_host = 127.0.0.1\nnovncproxy_port = {listens}\n[consoleauth]\n"
            conf += f"backend = token_plugin\ntoken_plugin = {plugin}\ntoken_source = {folder / source}\n"
            running.append((Twistd.start(self, "novncproxy", conf), listens, token))
        for proxy, listens, token in running:
            await proxy.ready()
            url = f"http://127.0.0.1:{listens}/vnc_lite.html?token="
            viewer = await Viewers(self).open(url + token)
            viewer.leave()
            if token == jwt:
                proxy.process.signalProcess("HUP")
                await proxy.seen("reload: token_source was read again")
                await proxy.seen("reload: no certificate to read again")
                (folder / "key.pem").write_text("x")
                proxy.process.signalProcess("HUP")
                await proxy.seen("reload failed, the previous files stay in use: [consoleauth] token_source: ")
            self.assertEqual((await Viewers(self).refusal(f"{url}{token}x"))[0], 4401)
            self.assertEqual(await proxy.stop(signal.SIGTERM), 0)
            self.assertNotIn("Traceback", proxy.output)
            if token != "vm1":  # the path of the socket is in the log
                self.assertNotIn(token, proxy.output)
        self.assertIn("tokens: line 2 is skipped: not of the form token: host:port", running[0][0].output)

    async def test_on_a_unix_socket(self) -> None:
        """Two workers share a socket and a log file; the address of the client comes from the reverse proxy."""
        folder = Path(tempfile.mkdtemp())  # a unix socket's path must be short
        self.addCleanup(shutil.rmtree, folder)
        (folder / "tokens").write_text("a: 127.0.0.1:1\n")
        conf = f"workers = 2\nlog_format = json\nlog_file = {folder}/log\n"
        conf += f"[vnc]\nnovncproxy_socket = {folder}/s\nnovncproxy_socket_mode = 0660\n"
        conf += "[console]\ntrusted_proxies = 127.0.0.1\n"
        conf += f"[consoleauth]\nbackend = token_plugin\ntoken_plugin = TokenFile\ntoken_source = {folder}/tokens\n"
        notified = Notified()
        listening = reactor.listenUNIXDatagram(str(folder / "notify"), notified)
        self.addCleanup(listening.stopListening)
        environment = os.environ | {"NOTIFY_SOCKET": str(folder / "notify")}
        proxy = Twistd.start(self, "novncproxy", conf, env=environment)
        await notified.ready
        (folder / "log").rename(folder / "log.1")
        self.assertEqual((folder / "s").stat().st_mode & 0o777, 0o660)
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        for request, answer in (
            ("GET /healthz HTTP/1.0\r\n\r\n", b" 200 "),
            (HANDSHAKE.format(path="/?token=x", more="X-Forwarded-For: 192.0.2.7\r\n"), b" 101 "),
        ):
            client = await UNIXClientEndpoint(reactor, str(folder / "s")).connect(factory)
            client.write(request.encode())
            self.assertIn(answer, await client.until(b"\r\n"))
            client.transport.abortConnection()
            await client.gone
        self.assertEqual(await proxy.stop(signal.SIGTERM), 0)
        self.assertEqual(proxy.output, "")
        before, after = (
            [json.loads(line) for line in (folder / name).read_text().splitlines()] for name in ("log.1", "log")
        )
        self.assertEqual(len({line["pid"] for line in before}), 3)
        (session,) = [line for line in after if line.get("event") == "session"]
        self.assertEqual((session["cause"], session["address"]), ("InvalidToken", "192.0.2.7"))
        self.assertIn(session["pid"], {line["pid"] for line in before if line.get("worker") == session["worker"]})
