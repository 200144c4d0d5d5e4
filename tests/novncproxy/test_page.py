"""The page: which files are served, how, and that nothing else is."""

import shutil
import tempfile
from collections.abc import Container
from pathlib import Path
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.framing import UNNAMED
from novnc_twisted.events import FrameBlocked
from novnc_twisted.http.static_files import StaticFile
from novnc_twisted.novncproxy import page as page_module
from novnc_twisted.novncproxy.page import Page, redirect_of
from tests.session.harness import FrontCase
from tests.support.observed import only


def make_folder() -> Path:
    folder = Path(tempfile.mkdtemp())
    web = folder / "web"
    (web / "assets").mkdir(parents=True)
    (web / "vnc.html").write_text("<title>vnc</title>")
    (web / "vnc_auto.html").symlink_to("vnc.html")
    (web / "assets" / "app-ABCDEF12.js").write_text("//")
    (web / "assets" / "style.css").write_text("a{}")
    (web / "font.woff2").write_bytes(b"w")
    (web / "picture.svg").write_text("<svg/>")
    (web / ".hidden").write_text("hidden")
    (web / "strange name&.html").write_text("strange")
    (folder / "secret.html").write_text("secret")
    (web / "leak.html").symlink_to("../secret.html")
    (web / "out").symlink_to("..")
    return folder


class Finding(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = make_folder()
        self.addCleanup(shutil.rmtree, self.folder)
        self.page = Page(self.folder / "web")

    def read(self, path: str) -> bytes | None:
        file = self.page.find(path)
        if file is None:
            return None
        with file.content:
            return file.content.read()

    def test_files(self) -> None:
        for path in ("/vnc.html", "/vnc_auto.html", "/", "/%76nc.html"):
            self.assertEqual(self.read(path), b"<title>vnc</title>", path)
        self.assertEqual(self.read("/assets/style.css"), b"a{}")
        self.assertEqual(self.read("/strange%20name&.html"), b"strange")

    def test_nothing_else(self) -> None:
        for path in (
            "",
            "vnc.html",
            "//vnc.html",
            "/./vnc.html",
            "/assets",
            "/assets/",
            "/assets/../vnc.html",
            "/../secret.html",
            "/%2e%2e/secret.html",
            "/..%2fsecret.html",
            "/..%5csecret.html",
            "/assets%2fstyle.css",
            "/assets/%2e%2e/%2e%2e/secret.html",
            "/leak.html",
            "/out/secret.html",
            "/.hidden",
            "/vnc.html%00",
            "/vnc.html/",
            "/%ff",
            "/" + "a" * 5000,
            "/" + "a/" * 3000,
            str(self.folder / "secret.html"),
        ):
            self.assertIsNone(self.read(path), path)

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.sampled_from(["..", ".", "/", "%2f", "%2e", "out", "web", "secret.html", "\\", "%00", "a"])))
    def test_no_path_leads_out(self, parts: list[str]) -> None:
        self.assertNotEqual(self.read("/" + "".join(parts)), b"secret")

    def test_types(self) -> None:
        for path, content_type in {
            "/vnc.html": "text/html; charset=utf-8",
            "/assets/app-ABCDEF12.js": "text/javascript; charset=utf-8",
            "/assets/style.css": "text/css; charset=utf-8",
            "/picture.svg": "image/svg+xml",
            "/font.woff2": "font/woff2",
        }.items():
            file = self.page.find(path)
            assert file is not None
            file.content.close()
            self.assertEqual(file.content_type, content_type)

    @settings(deadline=None, max_examples=200)
    @given(st.text(max_size=30))
    def test_no_location_leaves_our_host(self, query: str) -> None:
        file = self.page.find("/vnc.html")
        assert file is not None
        file.content.close()
        location = redirect_of(file, f"token=T&{query}")
        if location is not None:
            parts = urlsplit(location)
            self.assertEqual((parts.scheme, parts.netloc, parts.path), ("", "", "vnc.html"))
            self.assertTrue(location.isascii() and location.isprintable() and "//" not in location, location)


class Serving(FrontCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = make_folder()
        self.addCleanup(shutil.rmtree, self.folder)
        self.web = self.folder / "web"

    def ours(self) -> None:
        """Serve it as if it were the shipped page."""
        self.patch(page_module, "SHIPPED", self.web)
        self.novnc(web=self.web)

    async def get(self, target: str, method: str = "GET", more: str = "") -> tuple[int, dict[str, str], bytes]:
        client = await self.raw()
        client.write(f"{method} {target} HTTP/1.1\r\nHost: h:6080\r\nConnection: close\r\n{more}\r\n".encode())
        answer = await client.everything()
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines)
        self.assertEqual(len(fields), len(lines), "no field is double")
        self.assertEqual(fields["x-content-type-options"], "nosniff")
        self.assertEqual(fields["referrer-policy"], "no-referrer")
        if method == "GET" and "content-length" in fields:
            self.assertEqual(int(fields["content-length"]), len(body))
        return int(first.split()[1]), fields, body

    async def test_a_page(self) -> None:
        self.ours()
        status, fields, body = await self.get("/vnc_auto.html?token=T")
        self.assertEqual((status, body), (200, b"<title>vnc</title>"))
        self.assertEqual(fields["cache-control"], "no-store")
        policy = fields["content-security-policy"]
        for part in (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "connect-src 'self' ws://h:6080 wss://h:6080",
            "frame-ancestors 'self'",
            "base-uri 'none'",
            "form-action 'none'",
        ):
            self.assertIn(part, policy)

    async def test_frames_that_browsers_block(self) -> None:
        """They are reported for pages alone, and only where the policy is certain to forbid the frame."""
        blocked: list[FrameBlocked] = []

        async def framed(path: str = "/vnc_auto.html", dest: str = "iframe", **more: str) -> list[str]:
            blocked.clear()
            lines = {"Sec-Fetch-Dest": dest, "Sec-Fetch-Site": "cross-site"} | {
                name.replace("_", "-"): value for name, value in more.items()
            }
            await self.get(path, more="".join(f"{name}: {value}\r\n" for name, value in lines.items() if value))
            return [event.origin for event in blocked]

        horizon, ours = "https://horizon.example", "http://h:6080"
        self.novnc(web=self.web, observer=only(FrameBlocked, blocked))
        self.assertEqual(await framed(Referer=f"{horizon}/project/instances/?x=1"), [horizon])
        self.assertEqual(blocked[0].option, "[console] frame_ancestors")
        self.assertEqual(await framed(), [UNNAMED])
        self.assertEqual(await framed(Referer=f"{ours}/list.html", Sec_Fetch_Site="same-origin"), [])
        for more in ({"dest": "document"}, {"dest": ""}, {"path": "/assets/style.css"}, {"Sec_Fetch_Site": "none"}):
            self.assertEqual(await framed(**more), [], more)
        self.novnc(web=self.web, frame_ancestors=["'self'", horizon], observer=only(FrameBlocked, blocked))
        self.assertEqual(await framed(Referer=f"{horizon}/"), [])
        self.assertEqual(await framed(), [])  # it may be Horizon
        self.assertEqual(await framed(Referer="https://evil.example/"), ["https://evil.example"])

    async def test_alone_by_https(self) -> None:
        """No window of another site has a hold on a page; browsers believe it by https alone, and complain else.

        How this page came counts, not the base URL: the port may take plain connections beside TLS.
        """
        name, page = "cross-origin-opener-policy", "/vnc.html"
        self.ours()
        self.assertNotIn(name, (await self.get(page))[1])
        self.assertNotIn(name, (await self.get(page, more="X-Forwarded-Proto: https\r\n"))[1])
        self.novnc(web=self.web, trusted_proxies=["127.0.0.1"], base_url="https://h:6080/vnc.html")
        self.assertEqual((await self.get(page, more="X-Forwarded-Proto: https\r\n"))[1][name], "same-origin")
        for more in ("", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Proto: https, http\r\n"):
            self.assertNotIn(name, (await self.get(page, more=more))[1], more)

    async def test_a_host_cannot_write_the_policy(self) -> None:
        self.ours()
        client = await self.raw()
        client.write(b"GET /vnc.html HTTP/1.0\r\nHost: h; script-src *\r\n\r\n")
        self.assertNotIn(b"script-src *", await client.everything())

    async def test_assets(self) -> None:
        self.ours()
        _, fields, _ = await self.get("/assets/app-ABCDEF12.js")
        self.assertIn("immutable", fields["cache-control"])
        _, fields, _ = await self.get("/assets/style.css")
        self.assertEqual(fields["cache-control"], "no-cache")
        status, fields, body = await self.get("/assets/style.css", more=f"If-None-Match: {fields['etag']}\r\n")
        self.assertEqual((status, body), (304, b""))

    async def test_compressed_files(self) -> None:
        """A file that was compressed when the page was built goes out so, to clients that take it."""
        self.ours()
        style = self.web / "assets" / "style.css"
        style.with_name("style.css.br").write_bytes(b"brotli")
        style.with_name("style.css.gz").write_bytes(b"gzip")
        tags = set()
        for accepted, encoding, wanted in (
            ("gzip, deflate, br, zstd", "br", b"brotli"),
            ("GZIP", "gzip", b"gzip"),
            ("br;q=0.5, gzip;q=1.0", "br", b"brotli"),
            ("br;q=0, gzip ; q=0.0", None, b"a{}"),
            ("br; Q=0.000, gzip", "gzip", b"gzip"),
            ("*", None, b"a{}"),
            ("", None, b"a{}"),
        ):
            status, fields, body = await self.get("/assets/style.css", more=f"Accept-Encoding: {accepted}\r\n")
            self.assertEqual((status, body), (200, wanted), accepted)
            self.assertEqual(fields.get("content-encoding"), encoding, accepted)
            self.assertEqual(fields["content-type"], "text/css; charset=utf-8")
            self.assertEqual(fields["vary"], "accept-encoding")
            tags.add((encoding, fields["etag"]))
        self.assertEqual(len(tags), 3, "each form has a tag of its own")
        tag = next(tag for encoding, tag in tags if encoding == "br")
        more = f"Accept-Encoding: br\r\nIf-None-Match: {tag}\r\n"
        status, fields, _ = await self.get("/assets/style.css", more=more)
        self.assertEqual((status, fields["vary"]), (304, "accept-encoding"))
        status, fields, body = await self.get("/assets/style.css", "HEAD", "Accept-Encoding: br\r\n")
        self.assertEqual((fields["content-length"], fields["content-encoding"], body), ("6", "br", b""))
        self.assertNotIn("vary", (await self.get("/picture.svg", more="Accept-Encoding: br\r\n"))[1])

    async def test_a_foreign_folder_is_served_as_it_is(self) -> None:
        (self.web / "assets" / "style.css.gz").write_bytes(b"old")
        self.novnc(web=self.web)
        _, fields, body = await self.get("/assets/style.css", more="Accept-Encoding: gzip\r\n")
        self.assertEqual((body, fields.get("content-encoding"), fields.get("vary")), (b"a{}", None, None))

    async def test_head(self) -> None:
        self.ours()
        status, fields, body = await self.get("/vnc.html", "HEAD")
        self.assertEqual((status, fields["content-length"], body), (200, "18", b""))
        self.assertEqual((await self.get("/none", "HEAD"))[2], b"")

    async def test_other_methods(self) -> None:
        self.ours()
        for method in ("POST", "PUT", "TRACE", "get", "CONNECT"):
            status, fields, _ = await self.get("/vnc.html", method)
            self.assertEqual((status, fields["allow"]), (405, "get, head, options"), method)

    async def test_health_checks(self) -> None:
        """HAProxy asks OPTIONS / by default; none of them needs a page, a token or a log line."""
        self.novnc(web=self.folder / "none")
        self.events.clear()
        for target in ("*", "/", "/vnc.html"):
            status, fields, body = await self.get(target, "OPTIONS")
            self.assertEqual((status, fields["allow"], body), (204, "get, head, options", b""), target)
            self.assertNotIn("content-length", fields, "RFC 9110, section 8.6")
        for target in ("/healthz", "/healthz?x=y", "http://h:6080/healthz"):
            self.assertEqual((await self.get(target))[::2], (200, b"ok"), target)
        self.assertEqual((await self.get("/healthz", "HEAD"))[1]["content-length"], "2")
        self.assertEqual((await self.get("/healthz/"))[0], 503)
        self.assertEqual((await self.get("/healthz", "POST"))[0], 405)
        self.assertEqual(self.events, [])

    async def test_absolute_form(self) -> None:
        """RFC 9112, section 3.2.2: its authority counts in place of Host."""
        self.ours()
        status, fields, body = await self.get("http://console.example:6080/vnc.html?token=T")
        self.assertEqual((status, body), (200, b"<title>vnc</title>"))
        self.assertIn("ws://console.example:6080 ", fields["content-security-policy"])
        for target in ("HTTPS://h:6080/vnc.html", "http://h:6080", "http://h:6080?x=y"):
            self.assertEqual((await self.get(target))[0], 200, target)
        for target in ("http://", "http:///vnc.html", "http://a b/vnc.html", "http://h;x/vnc.html", "ftp://h/vnc.html"):
            self.assertIn((await self.get(target))[0], (400, 404), target)

    async def test_an_ipv6_host_is_not_in_the_policy(self) -> None:
        self.ours()
        for host in ("[::1]:6080", "[2001:db8::1]"):
            self.assertIn(
                "connect-src 'self';", (await self.get(f"http://{host}/vnc.html"))[1]["content-security-policy"]
            )

    async def test_bodies_and_pipelining(self) -> None:
        self.ours()
        for more in (
            "Content-Length: 4\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Content-Length: 0\r\nContent-Length: 4\r\n",
        ):
            self.assertEqual((await self.get("/vnc.html", more=more))[0], 400)
        client = await self.raw()
        client.write(b"GET /vnc.html HTTP/1.1\r\nHost: h\r\n\r\n" * 2)
        self.assertTrue((await client.everything()).startswith(b"HTTP/1.1 400 "))

    async def test_nothing_is_echoed(self) -> None:
        self.ours()
        for target in ("/<script>", "/x?<script>", "/%3Cscript%3E", "//evil/%2F.."):
            status, fields, body = await self.get(target)
            self.assertIn(status, (400, 404))
            self.assertNotIn(b"script", body)
            self.assertNotIn("location", fields)

    async def test_favicon(self) -> None:
        self.ours()
        self.assertEqual((await self.get("/favicon.ico"))[0], 204)
        (self.web / "favicon.ico").write_bytes(b"icon")
        status, fields, body = await self.get("/favicon.ico")
        self.assertEqual((status, fields["content-type"], body), (200, "image/x-icon", b"icon"))

    async def test_a_foreign_page_gets_its_token_in_its_own_form(self) -> None:
        self.novnc(web=self.web)
        status, fields, _ = await self.get("/vnc.html?resize=scale&token=T-1")
        self.assertEqual(status, 302)
        location = urlsplit(fields["location"])
        self.assertEqual((location.netloc, location.path), ("", "vnc.html"), "relative: there may be a prefix")
        self.assertEqual(parse_qs(location.query), {"resize": ["scale"], "autoconnect": ["1"], "path": ["?token=t-1"]})
        for target in ("/vnc.html?token=T&path=x", "/vnc.html", "/vnc.html?token=", f"/{fields['location']}"):
            status, fields, _ = await self.get(target)
            self.assertEqual(status, 200, target)
            self.assertIn("frame-ancestors 'self'", fields["content-security-policy"])
            self.assertNotIn("script-src", fields["content-security-policy"], "stock noVNC has inline scripts")
            self.assertIn("connect-src 'self' ws://h:6080 wss://h:6080;", fields["content-security-policy"])

    async def test_a_redirect_stays_where_the_page_is(self) -> None:
        """The browser resolves it against what it asked for: below a reverse proxy's prefix, or in a folder."""
        (self.web / "assets" / "a:b c.html").write_text("odd")
        (self.web / "vnc_auto.html").unlink()
        (self.web / "vnc_lite.html").write_text("lite")
        self.novnc(web=self.web)
        for asked, wanted in (
            ("/assets/a:b%20c.html", "/assets/a:b%20c.html"),
            ("/vnc_auto.html", "/vnc_lite.html"),
            ("/", "/vnc_lite.html"),
        ):
            _, fields, _ = await self.get(f"{asked}?token=T")
            for prefix in ("", "/console", "/a/b"):
                found = urlsplit(urljoin(f"http://h{prefix}{asked}?token=T", fields["location"]))
                self.assertEqual((found.netloc, unquote(found.path)), ("h", unquote(prefix + wanted)))

    async def test_the_seeds_page_in_a_folder_of_todays_novnc(self) -> None:
        (self.web / "vnc_auto.html").unlink(missing_ok=True)
        (self.web / "vnc_lite.html").write_text("lite")
        self.novnc(web=self.web)
        _, fields, _ = await self.get("/vnc_auto.html?token=T")
        self.assertEqual(urlsplit(fields["location"]).path, "vnc_lite.html")
        self.assertEqual((await self.get("/vnc_auto.html?path=%3Ftoken%3DT"))[2], b"lite")
        (self.web / "vnc_auto.html").write_text("auto")
        self.assertEqual((await self.get("/vnc_auto.html"))[2], b"auto")

    async def test_our_page_is_not_redirected(self) -> None:
        self.ours()
        self.assertEqual((await self.get("/vnc.html?token=T"))[0], 200)

    async def test_no_page_at_all(self) -> None:
        self.novnc(web=self.folder / "none")
        status, _, body = await self.get("/vnc_auto.html")
        self.assertEqual(status, 503)
        self.assertIn(b"not installed", body)
        self.assertEqual((await self.get("/favicon.ico"))[0], 204)

    async def test_one_request_after_the_other(self) -> None:
        self.ours()
        client = await self.raw()
        for _ in range(3):
            client.write(b"GET /vnc.html HTTP/1.1\r\nHost: h\r\n\r\n")
            self.assertIn(b"Connection: keep-alive", await client.until(b"\r\n\r\n"))
            await client.read(18)
        client.write(b"GET /vnc.html HTTP/1.0\r\n\r\n")
        self.assertIn(b"Connection: close", await client.everything())

    def found_files(self) -> list[StaticFile]:
        """Collects the files that the front opens from now on; kept here, so that nothing but close() closes them."""
        found: list[StaticFile] = []
        original = self.front.page.find

        def find(path: str, accepted: Container[str] = ()) -> StaticFile | None:
            file = original(path, accepted)
            if file is not None:
                found.append(file)
            return file

        self.patch(self.front.page, "find", find)
        return found

    def test_a_big_file_is_read_as_the_transport_asks_for_it(self) -> None:
        (self.web / "big.wasm").write_bytes(bytes(4 << 20))
        self.ours()
        files, transport = self.found_files(), StringTransport()
        protocol = self.front.buildProtocol(None)
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET /big.wasm HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertFalse(transport.streaming, "the transport pulls")
        before = len(transport.value())
        for _ in range(3):
            transport.producer.resumeProducing()
            self.assertLessEqual(len(transport.value()) - before, 1 << 16)
            self.assertGreater(len(transport.value()), before)
            before = len(transport.value())
        self.assertLess(files[0].content.tell(), 1 << 18)
        transport.producer.stopProducing()
        protocol.connectionLost()
        self.assertTrue(files[0].content.closed)

    async def test_a_big_file_arrives_whole(self) -> None:
        (self.web / "big.wasm").write_bytes(bytes(4 << 20))
        self.ours()
        files = self.found_files()
        client = await self.raw()
        client.write(b"GET /big.wasm HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        self.assertEqual(len((await client.everything()).partition(b"\r\n\r\n")[2]), 4 << 20)
        self.assertTrue(files[0].content.closed)

    async def test_a_client_that_leaves_in_the_middle(self) -> None:
        (self.web / "big.wasm").write_bytes(bytes(4 << 20))
        self.ours()
        files = self.found_files()
        client = await self.raw()
        client.write(b"GET /big.wasm HTTP/1.1\r\nHost: h\r\n\r\n")
        await client.read(1000)
        (connection,) = self.front.connections
        client.transport.abortConnection()
        await connection.gone
        self.assertTrue(files[0].content.closed)
        self.assertEqual([event for event in self.events if "log_failure" in event], [])

    async def test_every_answer_closes_its_file(self) -> None:
        self.ours()
        tag = (await self.get("/assets/style.css"))[1]["etag"]
        files = self.found_files()
        self.assertEqual((await self.get("/vnc.html"))[0], 200)
        self.assertEqual((await self.get("/vnc.html", "HEAD"))[0], 200)
        self.assertEqual((await self.get("/assets/style.css", more=f"If-None-Match: {tag}\r\n"))[0], 304)
        self.front.page.foreign = True
        self.assertEqual((await self.get("/vnc.html?token=T"))[0], 302)
        self.assertEqual([file.content.closed for file in files], [True] * 4)

    async def test_stopping_closes_idle_connections(self) -> None:
        self.ours()
        client = await self.raw()
        client.write(b"GET /vnc.html HTTP/1.1\r\nHost: h\r\n\r\n")
        await client.until(b"vnc</title>")
        await self.front.stop_sessions()
        await client.gone
