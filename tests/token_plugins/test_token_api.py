"""``JSONTokenApi`` and ``BaseTokenAPI``, with a real HTTP server on loopback."""

from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet import reactor, ssl
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.http import client
from novnc_twisted.token_plugins import Target, make_plugin
from novnc_twisted.token_plugins.token_api import JSONTokenApi, token_api_source
from tests.support.pki import CA


class Api(Resource):
    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[bytes, Any] = {}
        self.seen: list[tuple[bytes, str | None]] = []
        self.asked: Deferred[None] = Deferred()
        self.ended: Deferred[Any] = Deferred()

    def render_GET(self, request: Request) -> bytes | int:
        self.seen.append((request.uri, request.getHeader("Authorization")))
        answer = self.answers.get(request.uri, 404)
        if answer is NOT_DONE_YET:
            request.notifyFinish().addBoth(lambda _, ended=self.ended: ended.callback(None))
            self.asked.callback(None)
            return NOT_DONE_YET
        if isinstance(answer, int):
            request.setResponseCode(answer)
            request.setHeader("Location", "/good")
            return b""
        return answer


class SourceTests(SynchronousTestCase):
    def test_sources(self) -> None:
        for source, address in (
            ("https://h/a/%s", "https://h/a/%s"),
            ("https://h:8443/a?token=%s&b=1", "https://h:8443/a?token=%s&b=1"),
            ("http://127.0.0.1:5000/%s", "http://127.0.0.1:5000/%s"),
            ("http://[::1]/%s", "http://[::1]/%s"),
        ):
            self.assertEqual(token_api_source(source), (address, {}))
        address, headers = token_api_source("https://us%20er:p%3Aw@h/%s")
        self.assertEqual((address, headers), ("https://h/%s", {"Authorization": ["Basic dXMgZXI6cDp3"]}))

    def test_mistakes(self) -> None:
        for source in (
            "",
            "h/%s",
            "https://h/",
            "https://%s/a",
            "https://h/%s/%s",
            "http://h/%s",
            "https://u:secret@h",
            "ftp://h/%s",
            "https://h:x/%s",
            "https:///%s",
            "https://[h/%s",
            "https://h/%s#a",
            "https://h/é%s",
            "https://h/a b%s",
        ):
            error = self.assertRaises(ValueError, make_plugin, reactor, "JSONTokenApi", source)
            self.assertNotIn("secret", str(error))


class ApiTests(TestCase):
    timeout = 300

    def setUp(self) -> None:
        self.api = Api()
        self.port = reactor.listenTCP(0, Site(self.api), interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)

    def plugin(self, name: str = "JSONTokenApi", login: str = "") -> Any:
        plugin = make_plugin(reactor, name, f"http://{login}127.0.0.1:{self.port.getHost().port}/t/%s")
        plugin.start()
        self.addCleanup(plugin.stop)
        return plugin

    async def test_answers(self) -> None:
        plugin = self.plugin(login="us:pw@")
        self.api.answers = {
            b"/t/a": b'{"host": "10.0.0.1", "port": 5900, "more": 1}',
            b"/t/b%2F..%3F%20%C3%A9": b'{"host": "h", "port": "5901", "password": "secret"}',
            b"/t/c": b'{"host": "unix_socket", "port": "/run/vnc/c"}',
        }
        self.assertEqual(await plugin.look_up("a"), Target(host="10.0.0.1", port=5900))
        found = await plugin.look_up("b/..? é")
        self.assertEqual((found.host, found.port, found.password), ("h", 5901, "secret"))
        self.assertNotIn("secret", repr(found))
        self.assertEqual((await plugin.look_up("c")).socket, "/run/vnc/c")
        self.assertEqual({login for _, login in self.api.seen}, {"Basic dXM6cHc="})

    async def test_texts(self) -> None:
        plugin = self.plugin("BaseTokenAPI")
        self.api.answers = {b"/t/a": b"h:5900\n", b"/t/b": b"[2001:db8::1]:1", b"/t/c": b"what", b"/t/d": b"h\xff:1"}
        self.assertEqual(await plugin.look_up("a"), Target(host="h", port=5900))
        self.assertEqual((await plugin.look_up("b")).host, "2001:db8::1")
        for token in ("c", "d"):
            await self.assertFailure(ensureDeferred(plugin.look_up(token)), ServiceUnavailable)

    async def test_refusals(self) -> None:
        """401, 403, 404 and 410 refuse the token; other replies are API failures.  No detail contains the token."""
        plugin = self.plugin()
        bad = [b"x", b"[1]", b"{}", b'{"host": 7, "port": 1}', b'{"host": "h", "port": 0}', b"{" * 9000, b"NaN"]
        bad += [b'{"host": "h", "port": 1, "password": 7}', b'{"host": "unix_socket", "port": "../a"}', b"a" * 20_000]
        self.api.answers = {f"/t/bad{number}".encode(): body for number, body in enumerate(bad)}
        statuses = {401: InvalidToken, 403: InvalidToken, 404: InvalidToken, 410: InvalidToken}
        statuses |= dict.fromkeys((301, 302, 307, 429, 500, 503), ServiceUnavailable)
        self.api.answers |= {f"/t/s{status}".encode(): status for status in statuses}
        expected = {f"bad{number}": ServiceUnavailable for number in range(len(bad))}
        expected |= {f"s{status}": error for status, error in statuses.items()}
        for token, error in expected.items():
            found = await self.assertFailure(ensureDeferred(plugin.look_up(token)), error)
            self.assertNotIn(token, found.detail)
        self.assertNotIn(b"/good", [uri for uri, _ in self.api.seen])
        asked = len(self.api.seen)
        for token in ("", ".", "..", "a\nb", "\udcff"):
            await self.assertFailure(ensureDeferred(plugin.look_up(token)), InvalidToken)
        self.assertEqual(len(self.api.seen), asked)

    async def test_an_api_that_is_down_or_hangs(self) -> None:
        plugin = self.plugin()
        self.api.answers[b"/t/a"] = NOT_DONE_YET
        asked = ensureDeferred(plugin.look_up("a"))
        await self.api.asked
        self.patch(client, "MAX_PENDING", 1)
        error = await self.assertFailure(ensureDeferred(plugin.look_up("b")), ServiceUnavailable)
        self.assertIn("too slow", error.detail)
        asked.cancel()  # as the end of a session does
        await self.assertFailure(asked, CancelledError)
        await self.api.ended
        self.patch(client, "DEADLINE", 0.01)
        self.api.asked, self.api.ended = Deferred(), Deferred()
        error = await self.assertFailure(ensureDeferred(plugin.look_up("a")), ServiceUnavailable)
        self.assertIn("does not answer", error.detail)
        await self.port.stopListening()
        await plugin.stop()
        await self.assertFailure(ensureDeferred(plugin.look_up("c")), ServiceUnavailable)

    async def test_certificates(self) -> None:
        """Only certificates of a trusted authority are accepted."""
        authority = CA()
        served = authority.issue("127.0.0.1")
        context = ssl.CertificateOptions(
            privateKey=crypto.load_privatekey(SSL.FILETYPE_PEM, served.key),
            certificate=crypto.load_certificate(SSL.FILETYPE_PEM, served.cert),
        )
        port = reactor.listenSSL(0, Site(self.api), context, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.api.answers[b"/a"] = b'{"host": "h", "port": 1}'
        source = f"https://127.0.0.1:{port.getHost().port}/%s"
        trusted = BrowserLikePolicyForHTTPS(ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(authority.pem)]))
        good, bad = JSONTokenApi(reactor, source, tls_policy=trusted), JSONTokenApi(reactor, source)
        for plugin in (good, bad):
            self.addCleanup(plugin.stop)
        self.assertEqual((await good.look_up("a")).port, 1)
        await self.assertFailure(ensureDeferred(bad.look_up("a")), ServiceUnavailable)
