"""What a user does at the console page, judged by what the VNC server received."""

from tests.web.page_case import PageTest
from tests.web.steps import (
    ALT,
    CAPS_LOCK,
    CTRL,
    DELETE,
    ENTER,
    LONG_TIMES_END_BY_THE_TEST,
    PHONE,
    SHIFT,
    SYSRQ,
    held,
    taps,
)


class CapsLock(PageTest):
    """The guest's Caps Lock is on, and the page knows it: all three ways of typing write the intended characters."""

    caps_on = [(CAPS_LOCK, True), (CAPS_LOCK, False)]

    async def test_typed_text(self):
        def steps(page):
            page.wait_painted()
            self.leds(page, caps_lock=True)
            self.type_text(page, "aB")
            self.wait_keys(page, [*self.caps_on, *taps(ord("a")), *held(taps(ord("B")), SHIFT)])
            self.leds(page, caps_lock=False)
            self.forget(page)
            self.type_text(page, "c")
            self.wait_keys(page, taps(ord("c")))

        await self.visit(steps)

    async def test_phone(self):
        def steps(page):
            page.wait_painted()
            self.leds(page, caps_lock=True)
            page.page.tap("#touch")
            page.page.keyboard.insert_text("aB")
            self.wait_keys(page, [*self.caps_on, *taps(ord("a")), *held(taps(ord("B")), SHIFT)])

        await self.visit(steps, **PHONE)

    async def test_keyboard(self):
        def steps(page):
            page.wait_painted()
            self.leds(page, caps_lock=True)
            page.type("a")
            self.wait_keys(page, [*self.caps_on, *taps(ord("a"))])

        await self.visit(steps)


class Keys(PageTest):
    async def test_dead_keys(self):
        """A letter with an accent is typed as a dead key and a letter."""

        def steps(page):
            page.wait_painted()
            page.page.click("#clipboard")
            page.page.select_option("#layout", "es")
            page.page.fill("#outgoing", "Dó")
            self.assertEqual(page.page.inner_text("#typing"), "")
            page.page.click("#type")
            page.wait_said("Typed.")
            self.wait_keys(page, [*held(taps(ord("D")), SHIFT), *taps(0xFE51, ord("o"))])

        await self.visit(steps)

    async def test_unknown_layout(self):
        """The page names a remembered layout that it does not know, instead of silently using another one."""

        def steps(page):
            page.wait_painted()
            page.page.evaluate("localStorage.setItem('novnc_twisted.layout', 'xx')")
            page.page.reload()
            page.wait_painted()
            page.page.click("#clipboard")
            self.assertIn("“xx” is not known", page.wait_said("is not known"))

        await self.visit(steps)

    async def test_released_when_the_screen_loses_the_focus(self):
        """A key that is held down while a tool is clicked is released on the server."""

        def steps(page):
            page.wait_painted()
            page.page.keyboard.down("Control")
            self.wait_keys(page, [(CTRL, True)])
            page.page.click("#more")
            self.wait_keys(page, held([], CTRL))
            page.page.keyboard.up("Control")
            self.focus_screen(page)
            page.type("c")
            self.wait_keys(page, [*held([], CTRL), *taps(ord("c"))])

        await self.visit(steps)

    async def test_ctrl_alt_del_takes_two_clicks(self):
        def steps(page):
            page.wait_painted()
            page.page.click("#cad")
            page.wait_said("press again within 3 seconds")
            self.assertEqual(self.console.keys(), [])
            page.page.click("#cad")
            self.wait_keys(page, held(taps(DELETE), CTRL, ALT))
            # the time for the second click is over: the next click counts as a first one
            page.page.click("#cad")
            page.page.evaluate("endTimes()")
            self.assertFalse(page.page.locator("#cad.armed").count())
            page.page.click("#cad")
            self.assertTrue(page.page.locator("#cad.armed").count())
            page.page.evaluate("endTimes()")
            # a double click does not confirm
            page.page.dblclick("#cad")
            self.assertTrue(page.page.locator("#cad.armed").count())
            self.focus_screen(page)
            page.type("x")
            self.wait_keys(page, [*held(taps(DELETE), CTRL, ALT), *taps(ord("x"))])

        await self.visit_cleanly(steps, script=LONG_TIMES_END_BY_THE_TEST)

    async def test_destructive_keys(self):
        """Destructive keys are a group of their own, say what they do, and need two clicks each."""

        def steps(page):
            page.wait_painted()
            page.page.click("#keys")
            page.page.click("text=Show help")  # harmless: at once
            self.wait_keys(page, held(taps(ord("h")), ALT, SYSRQ))
            page.page.click("#keys")
            names = page.page.locator("#destructive button").all_inner_texts()
            self.assertEqual(
                [name.split("\n")[0] for name in names],
                [
                    "Ctrl+Alt+Del",
                    "End the X session",
                    "Terminate all processes",
                    "Kill all processes",
                    "Remount the disks read-only",
                    "Reboot at once",
                ],
            )
            self.forget(page)
            for number in range(len(names)):
                page.page.locator("#destructive button").nth(number).click()
            page.page.click("#hold >> text=Shift")
            page.page.click("#hold >> text=Shift")
            self.wait_keys(page, held([], SHIFT))
            page.page.click("text=Reboot at once?")
            self.wait_keys(page, [*held([], SHIFT), *held(taps(ord("b")), ALT, SYSRQ)])

        await self.visit_cleanly(steps, script=LONG_TIMES_END_BY_THE_TEST)


class HiddenState(PageTest):
    async def test_held_modifier(self):
        """A held modifier is shown, with and without the bar; a click on it releases it."""

        def steps(page):
            page.wait_painted()
            page.page.click("#keys")
            page.page.click("#hold >> text=Ctrl")
            page.press("Escape")
            page.page.wait_for_selector("#bar .chip >> text=Ctrl held")
            page.page.click("#hide")
            page.page.click(".chip >> text=Ctrl held")
            self.wait_keys(page, held([], CTRL))
            self.assertEqual(page.page.locator(".chip").count(), 0)
            page.type("l")
            self.wait_keys(page, [*held([], CTRL), *taps(ord("l"))])

        await self.visit_cleanly(steps)

    async def test_typing(self):
        """With the panel closed, the progress of typing is shown, and typing can be stopped."""

        def steps(page):
            page.wait_painted()
            page.page.click("#keys")
            page.page.click("#hold >> text=Ctrl")
            self.write_text(page, "y" * 5000)
            page.page.click("#type")
            page.press("Escape")
            page.page.wait_for_selector("#bar .chip >> text=/^Typing [0-9]+\\/5000/")
            self.wait_heard(page, lambda: self.console.keys().count((ord("y"), True)), "nothing was typed")
            page.page.click(".chip >> text=Typing")
            page.page.wait_for_selector(".chip", state="detached")
            self.focus_screen(page)
            page.press("Enter")
            self.wait_heard(page, lambda: self.console.keys().count((ENTER, False)), "the key did not arrive")
            keys = self.console.keys()
            self.assertEqual(keys[:2], held([], CTRL))  # Ctrl is released before a text is typed
            self.assertEqual(keys[2:-2], taps(*[ord("y")] * ((len(keys) - 4) // 2)))
            self.assertLess(len(keys), 10000)

        await self.visit_cleanly(steps)

    async def test_typing_broken_off(self):
        """If the connection ends during typing, the bar shows how many characters were typed."""

        def steps(page):
            page.wait_painted()
            self.write_text(page, "y" * 5000)
            page.page.click("#type")
            page.press("Escape")
            page.page.wait_for_selector("#bar .chip >> text=Typing")
            self.drop()
            page.page.click(".chip >> text=/^Typing stopped at [0-9]+\\/5000/")
            self.assertEqual(page.page.locator(".chip").count(), 0)

        await self.visit(steps)

    async def test_typing_in_the_background(self):
        """Typing does not use the page's timers, which fire once a second or less in a hidden page."""

        def steps(page):
            page.wait_painted()
            page.page.evaluate("window.setTimeout = () => 0")
            self.type_text(page, "hello")
            self.wait_keys(page, taps(*b"hello"))

        await self.visit_cleanly(steps)


class ClipboardLimits(PageTest):
    async def test_too_long(self):
        """The page does not send a text that is too long for the server, and says so in advance."""

        def steps(page):
            page.wait_painted()
            page.page.click("#clipboard")
            page.page.evaluate(fill, 1048577)
            page.wait_said("too long for the server")
            page.page.click("#send")
            page.page.evaluate(fill, 1048576)
            page.page.wait_for_function("() => !document.getElementById('typing').textContent")
            page.page.click("#send")
            page.wait_said("Sent.")
            self.wait_heard(page, lambda: self.console.cut_texts(), "nothing was sent")
            self.assertEqual([len(text) for text in self.console.cut_texts()], [1048576])

        fill = """(count) => {
            const field = document.getElementById('outgoing');
            field.value = 'x'.repeat(count);
            field.dispatchEvent(new Event('input'));
        }"""
        await self.visit(steps)

    async def test_beyond_latin_1(self):
        """Text beyond Latin-1 is sent only to a server with the extended clipboard, never as question marks."""

        def steps(page):
            page.wait_painted()
            self.write_text(page, "né €5")
            page.wait_said("one character is not among them")
            page.page.click("#send")
            page.page.fill("#outgoing", "né 5")
            page.page.click("#send")
            self.wait_heard(page, lambda: self.console.cut_texts(), "nothing was sent")
            self.assertEqual(self.console.cut_texts(), ["né 5".encode("latin-1")])
            self.viewer("extended_clipboard")
            self.wait_heard(
                page, lambda: any(m[0] == 6 and m[4] & 0x80 for m in self.console.messages), "no capabilities"
            )
            self.forget(page)
            page.page.fill("#outgoing", "né €5")
            self.assertEqual(page.page.locator("#typing").inner_text().count("clipboard"), 0)
            page.page.click("#send")
            page.wait_said("Sent.")
            notify = b"\6\0\0\0\xff\xff\xff\xfc\x08\0\0\1"
            self.wait_heard(page, lambda: notify in self.console.messages, "no notification")
            page.page.click("#more")
            page.page.click("#connect")
            page.wait_said("The console was closed.")
            self.write_text(page, "€ 5")  # nothing is known of the next session's clipboard
            self.assertEqual(page.page.locator("#typing").inner_text().count("clipboard"), 0)

        await self.visit(steps)

    async def test_nothing(self):
        def steps(page):
            page.wait_painted()
            page.page.click("#clipboard")
            for button in ("#type", "#send"):
                page.page.fill("#outgoing", "x")
                page.page.fill("#outgoing", "")
                page.page.click(button)
                page.wait_said("There is no text.")
            self.focus_screen(page)
            page.type("z")
            self.wait_keys(page, taps(ord("z")))
            self.assertEqual(self.console.cut_texts(), [])

        await self.visit(steps)


class Access(PageTest):
    async def test_forced_colours(self):
        """With forced colours the browser draws the switch, since the page's colours are ignored."""

        def steps(page):
            page.wait_painted()
            page.page.click("#more")
            look = "() => { const s = getComputedStyle(document.getElementById('view-only')); return s.appearance; }"
            self.assertEqual(page.page.evaluate(look), "auto")
            box = page.page.locator("#view-only").bounding_box()
            area = {name: box[name] for name in ("x", "y", "width", "height")}
            off = page.page.screenshot(clip=area)
            page.page.click("#view-only")
            page.page.mouse.move(5, 300)
            self.assertNotEqual(page.page.screenshot(clip=area), off)

        await self.visit(steps, forced_colors="active")

    async def test_focus_after_disconnect(self):
        """After a disconnect by keyboard or mouse, the card that offers to reconnect has the focus."""

        def steps(page):
            page.wait_painted()
            for press in (lambda: page.page.click("#connect"), lambda: page.page.press("#connect", "Enter")):
                page.page.click("#more")
                press()
                page.wait_said("The console was closed.")
                page.page.wait_for_function("() => document.activeElement.id === 'again'")
                page.press("Enter")
                page.wait_painted()

        await self.visit(steps)
