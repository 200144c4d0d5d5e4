"""The settings of the pages: what is refused, and that texts stay readable with all colours."""

import json
import random
import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.http.branded_page import DARK, LIGHT, style_sheet
from novnc_twisted.http.colors import Color
from novnc_twisted.http.page_settings import LANGUAGES, MAX_FILE, MAX_LOGO, PageSettings, read_page_settings
from novnc_twisted.novncproxy.page import SHIPPED, Page

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path d="M0 0h4v4H0z"/></svg>'
WHOLE: dict[str, Any] = {
    "name": "Example Cloud",
    "logo": "logo.svg",
    "colors": {"accent": "#b00020", "bar": "#102a43"},
    "help": "https://help.example.org/console?a=1&b=2",
    "new_link": "mailto:help@example.org",
    "defaults": {"layout": "de", "picture": "original", "language": "pt-BR"},
    "fixed": {"save_data": True, "view_only": False},
}


class ReadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        (self.folder / "logo.svg").write_bytes(SVG)

    def read(self, value: Any, name: str = "page.json") -> PageSettings:
        path = self.folder / name
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
        return read_page_settings(path)

    def refused(self, value: Any) -> str:
        return str(self.assertRaises(ValueError, self.read, value))

    def test_everything(self) -> None:
        found = self.read(WHOLE)
        assert found.logo is not None
        self.assertEqual((found.logo.data, found.logo.ending), (SVG, "svg"))
        self.assertEqual((str(found.accent), str(found.bar)), ("#b00020", "#102a43"))
        self.assertEqual((found.defaults, found.fixed), (WHOLE["defaults"], WHOLE["fixed"]))
        self.assertEqual(self.read({}), PageSettings())

    def test_mistakes_are_named(self) -> None:
        for value, text in (
            (b"{", "no JSON"),
            (b"\xff", "no JSON"),
            (b"[]", "the file is not an object"),
            (b" " * (MAX_FILE + 1), "is larger than 64 KiB"),
            ({"colour": {}}, "colour is unknown; known are name, help, new_link, defaults, fixed"),
            ({"a\x1b\n": 1}, "'a\\x1b\\n' is unknown; known are name, help, new_link, defaults, fixed"),
            ({"colors": []}, "colors is not an object"),
            ({"colors": {"ink": "#000000"}}, "colors.ink is unknown; known are accent, bar"),
            ({"colors": {"accent": "red"}}, "colors.accent is not a color such as #1a2b3c"),
            ({"colors": {"bar": "#777777"}}, "colors.bar is too close to medium brightness: its contrast"),
            ({"help": "javascript:alert(1)"}, "help is not a URL with https, http or mailto"),
            ({"help": "//example.org"}, "help is not a URL"),
            ({"help": "https://a b"}, "help is not a URL: it has a space"),
            ({"help": "https:///path"}, "help is not a URL"),
            ({"help": "mailto:"}, "help is not a URL"),
            ({"help": "mailto:a@b\u200b"}, "help is not a URL"),
            ({"help": "https://a\u200b"}, "help is not a URL"),
            ({"help": "mailto:" + "a" * 2000}, "help is not a text of 1 to 2000 characters"),
            ({"new_link": 5}, "new_link is not a text of 1 to 2000 characters"),
            ({"name": ""}, "name is not a text of 1 to 100 characters"),
            ({"defaults": {"layout": "klingon"}}, "defaults.layout is not one of "),
            ({"defaults": {"picture": "big"}}, "defaults.picture is not one of scale, original, remote"),
            ({"defaults": {"quality": 5}}, "defaults.quality is unknown; known are picture, layout, language"),
            ({"defaults": 5}, "defaults is not an object"),
            ({"fixed": {"save_data": "yes"}}, "save_data is not true or false"),
            ({"defaults": {"layout": "de"}, "fixed": {"layout": "us"}}, "layout is in defaults and in fixed"),
            ({"logo": "none.svg"}, "can't be read: No such file"),
            ({"logo": ""}, "logo is not the name of a file"),
            ({"logo": {}}, "logo is not the name of a file"),
        ):
            self.assertIn(text, self.refused(value))

    def test_bars_with_enough_contrast(self) -> None:
        for bar in ("#595959", "#959595"):
            self.assertEqual(str(self.read({"colors": {"bar": bar}}).bar), bar)
        for bar in ("#5a5a5a", "#949494"):
            self.assertIn("(grays: up to #595959, or from #959595)", self.refused({"colors": {"bar": bar}}))

    def test_logos(self) -> None:
        for data, ending in (
            (b"\x89PNG\r\n\x1a\n....", "png"),
            (b"\xff\xd8\xff\xe0", "jpg"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
            (b'<?xml version="1.0"?>' + SVG, "svg"),
        ):
            (self.folder / "logo").write_bytes(data)
            logo = self.read({"logo": "logo"}).logo
            assert logo is not None
            self.assertEqual(logo.ending, ending)

    def test_no_logos(self) -> None:
        for data, text in (
            (b"<html></html>", "is not a picture"),
            (b"GIF89a", "is not a picture"),
            (b"", "is not a picture"),
            (b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG, "is not a picture"),
            (b"\0" * (MAX_LOGO + 1), "is larger than 256 KiB"),
        ):
            (self.folder / "logo").write_bytes(data)
            self.assertIn(text, self.refused({"logo": "logo"}))

    def test_languages(self) -> None:
        folder = SHIPPED.parent / "src" / "locales"
        files = {path.stem for path in folder.glob("*.json")} - {"causes"}
        self.assertEqual(set(LANGUAGES), files | {"en"})


class ColorTests(SynchronousTestCase):
    def test_contrast(self) -> None:
        black, white = Color.read("#000000"), Color.read("#ffffff")
        self.assertAlmostEqual(black.contrast(white), 21)
        self.assertAlmostEqual(Color.read("#767676").contrast(white), 4.54, places=2)

    def test_every_accent_is_readable(self) -> None:
        chance = random.Random(5)
        for _ in range(500):
            color = Color(*(chance.randrange(256) for _ in range(3)))
            for ground in (DARK, LIGHT):
                shown = color.readable_on(ground)
                self.assertGreaterEqual(shown.contrast(ground), 4.5)
                self.assertGreaterEqual(shown.contrast(shown.text()), 4.5)

    def test_every_bar_is_readable(self) -> None:
        chance = random.Random(5)
        tested = 0
        for _ in range(500):
            bar, accent = (Color(*(chance.randrange(256) for _ in range(3))) for _ in range(2))
            if bar.contrast(bar.text()) < 7:
                continue
            tested += 1
            rule = style_sheet(PageSettings(bar=bar, accent=accent)).splitlines()[-1]
            values = {name: Color.read(value) for name, value in re.findall(r"--([\w-]+): (#\w{6});", rule)}
            for name, ground in (("ink", "bar"), ("soft", "bar"), ("ink", "hover"), ("accent", "hover")):
                self.assertGreaterEqual(values[name].contrast(values[ground]), 4.5, (name, bar, accent))
        self.assertGreater(tested, 100)


class BrandedTests(SynchronousTestCase):
    def settings(self, **more: Any) -> PageSettings:
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "logo.svg").write_bytes(SVG)
        (folder / "page.json").write_text(json.dumps(WHOLE | more))
        return read_page_settings(folder / "page.json")

    def page(self) -> Page:
        page = Page(SHIPPED)
        page.use(self.settings(name='</title>"<&'))
        return page

    def test_the_page(self) -> None:
        page = self.page()
        file = page.find("/vnc_auto.html", {"br"})
        assert file is not None
        html = file.content.read().decode()
        self.assertEqual((file.size, file.encoding, file.varies), (len(html.encode()), None, True))
        for path in re.findall(r'href="(site-[0-9a-f]{16}\.css)"|(site-logo-[0-9a-f]{16}\.svg)', html):
            found = page.find("/" + "".join(path))
            assert found is not None
            self.assertTrue(found.unchanging)
            self.assertEqual(len(found.content.read()), found.size)
        self.assertNotIn('</title>"', html)
        self.assertNotIn("style=", html.partition("<body")[0])

    def test_compressed(self) -> None:
        page = self.page()
        for _ in range(2):
            file = page.find("/vnc.html", {"br", "gzip"})
            assert file is not None
            self.assertEqual((file.encoding, file.content.read(2)), ("gzip", b"\x1f\x8b"))

    def test_without_settings_again(self) -> None:
        page = self.page()
        style = re.findall(rb"site-\w+\.css", page.find("/vnc.html").content.read())[0].decode()  # type: ignore[union-attr]
        page.use(None)
        file = page.find("/vnc.html", {"br"})
        assert file is not None
        file.content.close()
        self.assertEqual(file.encoding, "br")
        self.assertIsNone(page.find(f"/{style}"))

    def test_a_page_of_somebody_else_stays(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "vnc.html").write_text("<head></head>")
        page = Page(folder)
        page.use(self.settings())
        file = page.find("/vnc.html")
        assert file is not None
        with file.content:
            self.assertEqual(file.content.read(), b"<head></head>")
