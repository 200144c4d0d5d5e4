"""Which files of its folder the page serves, and their content types."""

import shutil
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.novncproxy.page import Page, redirect_of
from tests.novncproxy.page_case import make_folder


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
