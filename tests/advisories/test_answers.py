"""No answer redirects to another host, sets a cookie, opens the API to other sites, or quotes the request."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.identity import HTTPBasic, NoAuth
from novnc_twisted.novncproxy import page as page_module
from tests.api.harness import FakeHost, FakeReactor, instance, quick_hash, running
from tests.http.harness import Connection
from tests.session.harness import TOKEN, FrontCase

MARK = "xqevilqx"
"""Part of each attack; no answer may contain it."""

TARGETS = tuple(
    target.replace("evil", MARK)
    for target in (
        "//evil/%2F..",
        "//evil/%2f%2e%2e",
        "///evil/",
        "/\\evil/..",
        "/%5cevil/%2e%2e/",
        "/evil.html",
        "/evil?token=T",
        "//evil/vnc.html?token=T",
        "/vnc.html//evil?token=T",
        "/vnc.html/?token=T&x=//evil",
        "/;@evil/",
        "/vnc.html%0d%0aLocation:%20http://evil/?token=T",
        "/%0d%0aSet-Cookie:%20evil=1",
        "/%0aevil: 1",
        "/?next=http://evil/&url=//evil&host=evil&port=1",
        "/<script>evil</script>",
        "/%3Cscript%3Eevil%3C/script%3E?<evil>",
        "/\"'><img src=x onerror=evil>",
        "http://evil/vnc.html",
        "evil:6080",
        "@evil/",
        "/evil\x0b\x0c\x85/",
    )
)
FIELDS = tuple(
    field.replace("evil", MARK)
    for field in (
        "",
        "X-Forwarded-Host: evil\r\n",
        "X-Forwarded-Prefix: //evil\r\nX-Original-URL: //evil/\r\n",
        "Referer: http://evil/\r\nCookie: token=evil; __Host-evil=1\r\n",
        "X: a\r\n evil: folded\r\n",
        "X\x00evil: 1\r\n",
        "Range: evil\r\nIf-None-Match: evil\r\nAccept: evil\r\n",
    )
)
HOSTS = ("h:6080", MARK, f"h:6080@{MARK}", f"h\x0b{MARK}", f"<{MARK}>", f"h; script-src {MARK}")


def requests() -> Iterator[bytes]:
    for target in TARGETS:
        for method in ("GET", "HEAD", "POST", "CONNECT", "BREW"):
            yield f"{method} {target} HTTP/1.1\r\nHost: h:6080\r\nConnection: close\r\n\r\n".encode("latin-1")
        for field in FIELDS:
            yield f"GET {target} HTTP/1.1\r\nHost: h:6080\r\nConnection: close\r\n{field}\r\n".encode("latin-1")
    for host in HOSTS:
        for target in ("/vnc.html?token=T", "/none"):
            yield f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1")


class AnswerCase(FrontCase):
    timeout = 300

    async def each(self, *, host_in_policy: bool) -> list[str]:
        """Check every answer, and return the Locations."""
        locations = []
        for request in requests():
            client = await self.raw()
            client.write(request)
            answer = await client.everything()
            head, _, body = answer.partition(b"\r\n\r\n")
            names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
            for name in (b"set-cookie", b"refresh", b"access-control-allow-origin", b"www-authenticate"):
                self.assertNotIn(name, names, request)
            for line in head.split(b"\r\n")[1:]:
                self.assertRegex(line, rb"^[A-Za-z-]+: [\x20-\x7e]*$", request)
                if line.lower().startswith(b"location:"):
                    locations.append(line.decode().partition(": ")[2])
                elif not (host_in_policy and line.startswith(b"Content-Security-Policy:")):
                    self.assertNotIn(MARK.encode(), line, request)
            self.assertNotIn(MARK.encode(), body, request)
            self.assertNotIn(b"\n", head.replace(b"\r\n", b""), request)
        return locations


class NoVNCAnswers(AnswerCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "vnc.html").write_text("<title>vnc</title>")

    async def test_our_page_redirects_nobody(self) -> None:
        """CVE-2021-3654, CVE-2022-35507, CVE-2022-31358, CVE-2022-39348, CVE-2024-41810, CVE-2020-35678.

        Answers have no Location, no cookie (CVE-2018-1340, CVE-2013-7436), and no field or line from the request.
        Only the page's policy contains the Host, if it is valid.
        """
        self.patch(page_module, "SHIPPED", self.folder)
        self.novnc(web=self.folder, settings=self.settings(max_failures_per_minute=0))
        self.assertEqual(await self.each(host_in_policy=True), [])

    async def test_a_foreign_page_redirects_to_itself(self) -> None:
        """CVE-2021-3654: the only redirect leads from a foreign page to itself, for any request."""
        self.novnc(web=self.folder, settings=self.settings(max_failures_per_minute=0))
        locations = await self.each(host_in_policy=True)
        self.assertGreater(len(locations), 0)
        for location in locations:
            parts = urlsplit(location)
            self.assertEqual((parts.scheme, parts.netloc, parts.path), ("", "", "vnc.html"), location)
            self.assertNotRegex(location, r"^[/\\]")


class XVPAnswers(AnswerCase):
    async def test_a_status_line_and_no_more(self) -> None:
        """The answers of the XVP proxy have no Location and quote nothing from the request."""
        self.xvp(settings=self.settings(max_failures_per_minute=0))
        self.assertEqual(await self.each(host_in_policy=False), [])

    async def test_no_address_of_the_client_is_dialled(self) -> None:
        """CVE-2022-35508: only the token selects the server.  A path, host or port in the request is ignored."""
        self.xvp()
        for line in (
            f"CONNECT {MARK}:5900?token={TOKEN} HTTP/1.0",
            f"CONNECT http://{MARK}/console?token={TOKEN}&host={MARK}&port=1 HTTP/1.1",
            f"GET //{MARK}:1/?host={MARK}&socket=/run/x&internal_access_path=/x&token={TOKEN} HTTP/1.0",
        ):
            client = await self.raw()
            client.write(f"{line}\r\nHost: {MARK}\r\nX-Forwarded-Host: {MARK}\r\n\r\n".encode())
            self.assertTrue((await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 "), line)
            self.assertEqual(await client.read(12), b"RFB 003.008\n")
            client.transport.abortConnection()
            await self.all_over()
        self.assertEqual(len(self.server.connections), 3)  # all reached the token's server


class APIAnswers(SynchronousTestCase):
    def judge(self, system: Any) -> None:
        for request in requests():
            connection = Connection(system.site)
            connection.send(request.replace(b"Host: h:6080", b"Host: localhost:8774"))
            sent = connection.transport.value()
            self.assertNotIn(b"set-cookie", sent.lower())
            self.assertNotIn(b"access-control-", sent.lower())
            if request.startswith(b"HEAD"):
                continue
            for answer in connection.answers():
                self.assertNotIn("location", answer.headers, request)
                self.assertEqual(answer["content-type"].partition(";")[0], "application/json", request)
                self.assertEqual(len(re.findall(MARK, json.dumps(answer.headers))), 0, request)
                self.assertNotIn(f"<{MARK}", answer.raw.decode(), request)
                self.assertNotIn("<script", answer.raw.decode(), request)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_no_redirect_no_cookie_no_other_site(self) -> None:
        """CVE-2024-26135, CVE-2022-31358, CVE-2024-41810: no cookies, no CORS, JSON only."""
        self.judge(running(self, NoAuth(), FakeHost("host1", instance("one"))))

    def test_with_users_too(self) -> None:
        users = Path(self.mktemp())
        users.write_text(f"root:{quick_hash('toor')}\n")
        self.judge(
            running(self, HTTPBasic(FakeReactor(), users, admin_users=["root"]), FakeHost("host1", instance("one")))
        )
