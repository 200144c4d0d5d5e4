"""The panel "View and connection" in real browsers, judged by what the VNC server received."""

from pathlib import Path

from PIL import Image

from tests.web.page_case import PageTest

COARSE = (-30).to_bytes(4, "big", signed=True)
"""The pseudo-encoding of quality level 2 (RFC 6143 registry: JPEG Quality Level)."""
BELL = b"\2"


class Measured:
    """What both browsers show."""

    async def test_what_the_connection_does(self):
        """Size, rates and both delays are shown while the panel is open."""
        self.console.echoes = True

        def steps(page):
            page.wait_painted()
            page.page.click("#more")
            page.page.wait_for_function(
                "() => /^\\d+ ms$/.test(document.getElementById('info-server').textContent)"
                " && /^\\d+ ms$/.test(document.getElementById('info-network').textContent)"
            )
            self.assertEqual(page.page.inner_text("#info-screen"), "320 \u00d7 200")
            self.assertRegex(page.page.inner_text("#info-received"), r"^[\d.,]+ kB/s$")

        await self.visit_cleanly(steps)


class Panel(Measured, PageTest):
    async def test_settings_are_remembered(self):
        """Save data asks for coarser pictures; it and the size of the picture are remembered."""

        def coarse():
            return any(message[0] == 2 and COARSE in message for message in self.console.messages)

        def steps(page):
            page.wait_painted()
            self.assertFalse(coarse())
            page.page.click("#more")
            page.page.check("#save-data")
            self.wait_heard(page, coarse, "no coarser pictures")
            page.page.check("#original")
            self.console.messages.clear()
            page.page.goto(self.console.url("token=T"))
            page.wait_painted()
            self.wait_heard(page, coarse, "it is forgotten")
            self.assertTrue(page.page.evaluate("document.getElementById('original').checked"))
            page.page.goto(self.console.url("token=T&resize=scale"))
            page.wait_painted()
            self.assertTrue(page.page.evaluate("document.getElementById('scale').checked"))

        await self.visit(steps)

    async def test_picture_and_bell(self):
        """The picture is saved as a PNG file; the bell flashes and is read out; whole factors are sharp."""

        def steps(page):
            page.wait_painted()
            page.page.click("#more")
            with page.page.expect_download() as download:
                page.page.click("#screenshot")
            self.assertRegex(download.value.suggested_filename, r"^[\w-]+-\d{4}(-\d\d){5}\.png$")
            with Image.open(Path(download.value.path())) as image:
                self.assertEqual(image.size, (320, 200))
            page.page.check("#original")
            page.page.wait_for_selector("#stage canvas.sharp")
            page.page.evaluate(
                "const notice = document.getElementById('notice');"
                "new MutationObserver(() => { window.rang ||= notice.textContent; }).observe(notice, {childList: true})"
            )
            self.viewer("write", BELL)
            page.page.wait_for_function("() => window.rang === 'The server rang its bell'")

        await self.visit_cleanly(steps)

    async def test_storage_is_blocked(self):
        """A browser that stores nothing still shows the console."""

        def steps(page):
            page.page.add_init_script(
                "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException(); }})"
            )
            page.page.goto(self.console.url("token=T"))
            page.wait_painted()
            page.page.click("#more")
            page.page.check("#original")
            page.page.check("#save-data")
            page.wait_said("Connected")

        seen = await self.visit(steps)
        self.assertEqual(seen.console, [])


class PanelInFirefox(Measured, PageTest):
    browser = "firefox"
