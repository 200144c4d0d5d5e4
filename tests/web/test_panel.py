"""The panel "View and connection" in real browsers, judged by what the VNC server received."""

from pathlib import Path

from PIL import Image

from tests.web.page_case import PageTest

COARSE = (-30).to_bytes(4, "big", signed=True)
"""The pseudo-encoding of quality level 2 (RFC 6143 registry: JPEG Quality Level)."""
BELL = b"\2"

RECORDED = """
    const [notice, stage] = [document.getElementById('notice'), document.getElementById('stage')];
    new MutationObserver(() => { window.rang ||= notice.textContent; }).observe(notice, {childList: true});
    new MutationObserver(() => { window.flashed ||= stage.matches('.rings'); }).observe(stage, {attributes: true});
"""
"""Records the signs of the bell, which last 300 ms."""

WAKE_LOCK = """
    window.locks = [];
    const request = async (kind) => {
        const lock = { kind, released: false, async release() { lock.released = true; } };
        window.locks.push(lock);
        return lock;
    };
    Object.defineProperty(navigator, 'wakeLock', { value: { request } });
    document.addEventListener('visibilitychange', () => {
        if (document.hidden) {
            window.locks.forEach((lock) => lock.release());
        }
    });
"""
"""A wake lock like that of browsers, which release it when the page is hidden (W3C Screen Wake Lock API)."""


def hide(page, hidden):
    """Hide the page as another tab does, or show it."""
    page.page.evaluate(
        "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


def locks(page):
    """Return for each requested wake lock whether it was released."""
    return page.page.evaluate("() => window.locks.map(({ released }) => released)")


class Measured:
    """Tests for both browsers."""

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


class Panel(Measured, PageTest):
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
            page.page.evaluate(RECORDED)
            self.viewer("write", BELL)
            page.page.wait_for_function("() => window.rang === 'The server rang its bell' && window.flashed")
            page.page.wait_for_selector("#stage:not(.rings)")
            self.assertEqual(page.page.inner_text("#notice"), "")

        await self.visit_cleanly(steps)

    async def test_bell_of_a_hidden_tab(self):
        """The title of the tab shows the bell until the tab is seen again; that of a visible tab never does."""

        def steps(page):
            page.wait_painted()
            title = page.page.title()
            page.page.evaluate(RECORDED)
            self.viewer("write", BELL)
            page.page.wait_for_function("() => window.rang")
            page.page.wait_for_selector("#stage:not(.rings)")
            self.assertEqual(page.page.title(), title)
            hide(page, True)
            self.viewer("write", BELL)
            page.page.wait_for_function("(title) => document.title === title", arg=f"\U0001f514 {title}")
            hide(page, False)
            self.assertEqual(page.page.title(), title)

        await self.visit_cleanly(steps)

    async def test_the_screen_of_the_user_stays_on(self):
        """While a console is connected and visible, the page holds a wake lock."""

        def steps(page):
            page.wait_painted()
            page.page.wait_for_function("() => window.locks.length")
            self.assertEqual(page.page.evaluate("window.locks[0].kind"), "screen")
            self.assertEqual(locks(page), [False])
            hide(page, True)
            self.assertEqual(locks(page), [True])
            hide(page, False)
            self.assertEqual(locks(page), [True, False])
            page.page.click("#more")
            page.page.click("#connect")
            page.wait_said("The console was closed.")
            self.assertEqual(locks(page), [True, True])
            hide(page, True)
            hide(page, False)
            self.assertEqual(len(locks(page)), 2)

        await self.visit_cleanly(steps, script=WAKE_LOCK)

    async def test_stored_settings_that_the_page_does_not_know(self):
        """The page starts with its defaults."""

        def steps(page):
            page.wait_painted()
            page.wait_said("Connected")
            self.assertTrue(page.page.is_checked("#scale"))
            self.assertFalse(page.page.is_checked("#save-data"))
            self.assertEqual(page.page.input_value("#layout"), "us")

        stored = "".join(
            f"localStorage.setItem('novnc_twisted.{name}', 'toString');"
            for name in ("picture", "save-data", "layout", "language")
        )
        await self.visit_cleanly(steps, script=f"if (location.host) {{ {stored} }}")

    async def test_storage_is_blocked(self):
        """A browser that stores nothing still shows the console."""

        def steps(page):
            page.wait_painted()
            page.page.click("#more")
            page.page.check("#original")
            page.page.check("#save-data")
            page.wait_said("Connected")

        blocked = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException(); }})"
        seen = await self.visit(steps, script=blocked)
        self.assertEqual(seen.console, [])


class PanelInFirefox(Measured, PageTest):
    browser = "firefox"
