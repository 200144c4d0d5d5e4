"""The built page: its file names, nothing inline, nothing from other hosts, and the licences."""

import gzip
import json
import re
from pathlib import Path

from twisted.trial.unittest import TestCase

DIST = Path(__file__).parents[2] / "novnc_twisted" / "web" / "dist"
COMPRESSED = {".br", ".gz"}
PAGES = ("vnc_auto.html", "vnc_lite.html", "vnc.html")


class BuiltTest(TestCase):
    def test_names(self):
        """Scripts, style sheet and languages have a hash of the content in the name; list.json has the list's files."""
        found = sorted(path.name for path in (DIST / "assets").iterdir() if path.suffix not in COMPRESSED)
        words = [name for name in found if name.startswith("words.")]
        for name in words:
            self.assertRegex(name, r"^words\.[a-z]{2}(-[A-Z]{2})?-[0-9A-F]{8}\.json$")
        self.assertEqual(len(words), 12)
        found = [name for name in found if name not in words]
        assets = [name for name in found if not name.startswith("list")]
        self.assertEqual((len(assets), len(found)), (3, 5))
        names = json.loads((DIST / "list.json").read_text())
        self.assertEqual({"assets/" + name for name in set(found) - set(assets)}, set(names.values()))
        self.assertRegex(assets[0], r"^console-[0-9A-Z]{8}\.js$")
        self.assertRegex(assets[1], r"^style-[0-9A-Z]{8}\.css$")
        self.assertRegex(assets[2], r"^timer-[0-9A-Z]{8}\.js$")
        for name in PAGES:
            page = (DIST / name).read_text()
            self.assertIn(f'src="assets/{assets[0]}"', page)
            self.assertIn(f'href="assets/{assets[1]}"', page)
            self.assertIn(f'data-timer="assets/{assets[2]}"', page)
        self.assertTrue((DIST / "favicon.svg").read_text().startswith("<svg"))
        self.assertEqual((DIST / "favicon.ico").read_bytes()[:4], b"\0\0\1\0")

    def test_compressed(self):
        """Text files have compressed copies: with gzip (the same content) and Brotli (less than half the size)."""
        for path in (
            *(DIST / name for name in PAGES),
            *(DIST / "assets").glob("*.js"),
            *(DIST / "assets").glob("*.css"),
            *(DIST / "assets").glob("*.json"),
        ):
            if path.stat().st_size < 1024:
                continue  # nothing would be gained
            self.assertEqual(gzip.decompress(path.with_name(path.name + ".gz").read_bytes()), path.read_bytes())
            self.assertLess(path.with_name(path.name + ".br").stat().st_size, path.stat().st_size / 2)

    def test_licences(self):
        for name, words in (
            ("LICENSE.noVNC.txt", "Mozilla"),
            ("LICENSE.MPL-2.0.txt", "Mozilla Public License Version 2.0"),
            ("LICENSE.pako.txt", "The MIT License"),
            ("LICENSE.xkb-data.txt", "xkeyboard-config"),
            ("LICENSE.noVNC-des.txt", "Redistributions in binary form"),
        ):
            self.assertIn(words, (DIST / name).read_text())

    def test_nothing_inline_and_nothing_from_elsewhere(self):
        """The Content-Security-Policy forbids both, and closed networks cannot reach other hosts."""
        for name in PAGES:
            page = (DIST / name).read_text()
            self.assertEqual(re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", page), [])
            self.assertEqual(re.findall(r"""(?:src|href)=["'](?:[a-z]+:|//)""", page), [])
        for style in (DIST / "assets").glob("*.css"):
            self.assertEqual(re.findall(r"@import|url\(", style.read_text()), [])
