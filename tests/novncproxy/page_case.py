"""A proxy that serves a folder as its page, for tests."""

import shutil
import tempfile
from pathlib import Path

from novnc_twisted.novncproxy import page as page_module
from tests.session.harness import FrontCase


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


class PageCase(FrontCase):
    """A proxy with a folder ``web``, and HTTP requests to it."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = make_folder()
        self.addCleanup(shutil.rmtree, self.folder)
        self.web = self.folder / "web"

    def ours(self) -> None:
        """Serve the folder as if it were the shipped page."""
        self.patch(page_module, "SHIPPED", self.web)
        self.novnc(web=self.web)

    async def get(self, target: str, method: str = "GET", more: str = "") -> tuple[int, dict[str, str], bytes]:
        client = await self.raw()
        client.write(f"{method} {target} HTTP/1.1\r\nHost: h:6080\r\nConnection: close\r\n{more}\r\n".encode())
        answer = await client.everything()
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines)
        self.assertEqual(len(fields), len(lines), "a field occurs twice")
        self.assertEqual(fields["x-content-type-options"], "nosniff")
        self.assertEqual(fields["referrer-policy"], "no-referrer")
        if method == "GET" and "content-length" in fields:
            self.assertEqual(int(fields["content-length"]), len(body))
        return int(first.split()[1]), fields, body
