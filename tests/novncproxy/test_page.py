"""How the page's files are served, and what else the port answers."""

from urllib.parse import parse_qs, unquote, urljoin, urlsplit

from novnc_twisted.access.framing import UNNAMED
from novnc_twisted.events import FrameBlocked
from tests.novncproxy.page_case import PageCase
from tests.support.observed import only


class Serving(PageCase):
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

    async def test_the_list_of_this_process(self) -> None:
        """It may frame the page, except behind a reverse proxy, where the host has other ports."""
        for trusted, expected in (
            ((), "frame-ancestors 'self' http://h:8774;"),
            (("127.0.0.1",), "frame-ancestors 'self';"),
        ):
            self.novnc(web=self.web, list_addresses=[("0.0.0.0", 8774)], trusted_proxies=trusted)
            _, fields, _ = await self.get("/vnc_auto.html")
            self.assertIn(expected, f"{fields['content-security-policy']};")

    async def test_frames_that_browsers_block(self) -> None:
        """They are reported for HTML only, and only if the policy certainly forbids the frame."""
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
        # Without Host, the page's own origin is unknown.
        client = await self.raw()
        client.write(
            b"GET /vnc_auto.html HTTP/1.0\r\nSec-Fetch-Dest: iframe\r\nSec-Fetch-Site: cross-site\r\n"
            + f"Referer: {horizon}/\r\n\r\n".encode()
        )
        self.assertIn(b"200 OK", await client.everything())
        self.assertEqual(blocked, [])
        self.novnc(web=self.web, frame_ancestors=["'self'", horizon], observer=only(FrameBlocked, blocked))
        self.assertEqual(await framed(Referer=f"{horizon}/"), [])
        self.assertEqual(await framed(), [])  # the frame may be on the page of Horizon
        self.assertEqual(await framed(Referer="https://evil.example/"), ["https://evil.example"])

    async def test_alone_by_https(self) -> None:
        """Cross-Origin-Opener-Policy is sent only over https; without https, browsers ignore it and complain.

        The request decides, not the base URL: the port may accept plain connections besides TLS.
        """
        name, page = "cross-origin-opener-policy", "/vnc.html"
        self.ours()
        self.assertNotIn(name, (await self.get(page))[1])
        self.assertNotIn(name, (await self.get(page, more="X-Forwarded-Proto: https\r\n"))[1])
        self.novnc(web=self.web, trusted_proxies=["127.0.0.1"], base_url="https://h:6080/vnc.html")
        https = "X-Forwarded-Proto: https\r\n"
        for site in ("", "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: none\r\n"):
            self.assertEqual((await self.get(page, more=https + site))[1][name], "same-origin", site)
        # The list of servers, at another port, needs a reference to the tab that it opened.
        self.assertNotIn(name, (await self.get(page, more=f"{https}Sec-Fetch-Site: same-site\r\n"))[1])
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
        """Files that were compressed when the page was built are sent compressed, if the client accepts this."""
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
        self.assertEqual(len(tags), 3, "each encoding has its own ETag")
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
        """HAProxy sends OPTIONS / by default.  A health check needs no page and no token, and logs nothing."""
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
        """RFC 9112, section 3.2.2: its authority replaces Host."""
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
        self.assertEqual((location.netloc, location.path), ("", "vnc.html"), "relative: a proxy may add a prefix")
        self.assertEqual(parse_qs(location.query), {"resize": ["scale"], "autoconnect": ["1"], "path": ["?token=t-1"]})
        for target in ("/vnc.html?token=T&path=x", "/vnc.html", "/vnc.html?token=", f"/{fields['location']}"):
            status, fields, _ = await self.get(target)
            self.assertEqual(status, 200, target)
            self.assertIn("frame-ancestors 'self'", fields["content-security-policy"])
            self.assertNotIn("script-src", fields["content-security-policy"], "stock noVNC has inline scripts")
            self.assertIn("connect-src 'self' ws://h:6080 wss://h:6080;", fields["content-security-policy"])

    async def test_a_redirect_stays_where_the_page_is(self) -> None:
        """Browsers resolve it against the requested URL, which may have a reverse proxy's prefix or a folder."""
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

    async def test_vnc_auto_html_in_a_folder_of_current_novnc(self) -> None:
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
