"""What a person does at the console page, judged by what the VNC server heard."""

from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread

from tests.support.browser import with_page
from tests.web.page_case import ALT, ASKS, CTRL, DELETE, ENTER, SHIFT, PageTest, held, taps

CAPS_LOCK, LEFT, HOME, F5, SYSRQ = 0xFFE5, 0xFF51, 0xFF50, 0xFFC2, 0xFF15
PHONE = {"size": (390, 844), "has_touch": True, "is_mobile": True}


class InputTest(PageTest):
    def viewer(self, method, *arguments, **options):
        """Call a method of the newest connection, from the thread of the steps."""
        return blockingCallFromThread(reactor, lambda: getattr(self.console.viewers[-1], method)(*arguments, **options))

    def wait_heard(self, page, condition, what):
        """Wait until the server has heard something."""
        for _ in range(200):
            if condition():
                return
            page.page.wait_for_timeout(25)
        self.fail(f"{what}; heard: {self.console.messages[-20:]}")

    def leds(self, page, *, caps_lock):
        """Send the guest's LED state, and wait until the page has read it: it then asks for the next update."""

        def requests():
            return sum(message[0] == 3 for message in self.console.messages)

        before = requests()
        self.viewer("leds", caps_lock=caps_lock)
        self.wait_heard(page, lambda: requests() > before, "no request after the LED state")

    def type_text(self, page, text, layout="us"):
        """Type a text from the clipboard panel."""
        if not page.page.locator("#panel-clipboard").is_visible():
            page.page.click("#clipboard")
        page.page.select_option("#layout", layout)
        page.page.fill("#outgoing", text)
        page.page.click("#type")
        page.wait_said("Typed.")

    def touch(self, page, kind, *points):
        """Send one touch event with these fingers."""
        if not hasattr(page, "devtools"):
            page.devtools = page.page.context.new_cdp_session(page.page)
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        page.devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    def swipe(self, page, *paths):
        """Move fingers along straight lines, one for each ``(x, y, to_x, to_y)``."""
        steps = 8
        self.touch(page, "touchStart", *[(x, y) for x, y, _, _ in paths])
        for step in range(1, steps + 1):
            along = [(x + (a - x) * step / steps, y + (b - y) * step / steps) for x, y, a, b in paths]
            self.touch(page, "touchMove", *along)
        self.touch(page, "touchEnd")


class CapsLock(InputTest):
    """The guest's Caps Lock is on, and the page knows: all three key paths write what was meant."""

    caps_on = [(CAPS_LOCK, True), (CAPS_LOCK, False)]

    async def test_typed_text(self):
        def steps(page):
            page.wait_painted()
            self.leds(page, caps_lock=True)
            self.type_text(page, "aB")
            self.wait_keys(page, [*self.caps_on, *taps(ord("a")), *held(taps(ord("B")), SHIFT)])
            self.leds(page, caps_lock=False)
            self.console.messages.clear()
            self.type_text(page, "c")
            self.wait_keys(page, taps(ord("c")))

        await with_page(self.console.url(), steps)

    async def test_phone(self):
        def steps(page):
            page.wait_painted()
            self.leds(page, caps_lock=True)
            page.page.tap("#touch")
            page.page.keyboard.insert_text("aB")
            self.wait_keys(page, [*self.caps_on, *taps(ord("a")), *held(taps(ord("B")), SHIFT)])

        await with_page(self.console.url(), steps, **PHONE)

    async def test_keyboard(self):
        def steps(page):
            page.wait_painted()
            self.leds(page, caps_lock=True)
            page.type("a")
            self.wait_keys(page, [*self.caps_on, *taps(ord("a"))])

        await with_page(self.console.url(), steps)


class Keys(InputTest):
    async def test_dead_keys(self):
        """A letter with an accent is a dead key and a letter."""

        def steps(page):
            page.wait_painted()
            page.page.click("#clipboard")
            page.page.select_option("#layout", "es")
            page.page.fill("#outgoing", "Dó")
            self.assertEqual(page.page.inner_text("#typing"), "")
            page.page.click("#type")
            page.wait_said("Typed.")
            self.wait_keys(page, [*held(taps(ord("D")), SHIFT), *taps(0xFE51, ord("o"))])

        await with_page(self.console.url(), steps)

    async def test_unknown_layout(self):
        """A layout that was remembered and is not known is named, and not taken for another one in silence."""

        def steps(page):
            page.wait_painted()
            page.page.evaluate("localStorage.setItem('novnc_twisted.layout', 'xx')")
            page.page.reload()
            page.wait_painted()
            page.page.click("#clipboard")
            self.assertIn("“xx” is not known", page.wait_said("is not known"))

        await with_page(self.console.url(), steps)

    async def test_released_when_the_screen_loses_the_focus(self):
        """A key that is down while the person clicks on a tool goes up on the server."""

        def steps(page):
            page.wait_painted()
            page.page.keyboard.down("Control")
            self.wait_keys(page, [(CTRL, True)])
            page.page.click("#more")
            self.wait_keys(page, held([], CTRL))
            page.page.keyboard.up("Control")
            page.page.locator("#stage canvas").focus()
            page.type("c")
            self.wait_keys(page, [*held([], CTRL), *taps(ord("c"))])

        await with_page(self.console.url(), steps)

    async def test_ctrl_alt_del_takes_two_clicks(self):
        def steps(page):
            page.wait_painted()
            page.page.click("#cad")
            page.wait_said("press again within 3 seconds")
            self.assertEqual(self.console.keys(), [])
            page.page.click("#cad")
            self.wait_keys(page, held(taps(DELETE), CTRL, ALT))
            # the first click's time runs out: the next one is a first one again
            page.page.click("#cad")
            page.page.wait_for_selector("#cad:not(.armed)")
            page.page.click("#cad")
            page.page.wait_for_selector("#cad.armed")
            page.page.wait_for_selector("#cad:not(.armed)")
            # a double click is no confirmation
            page.page.dblclick("#cad")
            page.page.wait_for_selector("#cad.armed")
            page.page.locator("#stage canvas").focus()
            page.type("x")
            self.wait_keys(page, [*held(taps(DELETE), CTRL, ALT), *taps(ord("x"))])

        seen = await with_page(self.console.url(), steps)
        self.assertEqual(seen.complaints(), [])

    async def test_destructive_keys(self):
        """Those stand apart, say in words what they do, and take two clicks each."""

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
            self.console.messages.clear()
            for number in range(len(names)):
                page.page.locator("#destructive button").nth(number).click()
            page.page.click("#hold >> text=Shift")
            page.page.click("#hold >> text=Shift")
            self.wait_keys(page, held([], SHIFT))
            page.page.click("text=Reboot at once?")
            self.wait_keys(page, [*held([], SHIFT), *held(taps(ord("b")), ALT, SYSRQ)])

        seen = await with_page(self.console.url(), steps)
        self.assertEqual(seen.complaints(), [])


class HiddenState(InputTest):
    async def test_held_modifier(self):
        """A modifier that is held shows in the bar, and without the bar; a click on it lets go."""

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

        seen = await with_page(self.console.url(), steps)
        self.assertEqual(seen.complaints(), [])

    async def test_typing(self):
        """A text that is being typed shows how far it is, and can be stopped, with the panel shut."""

        def steps(page):
            page.wait_painted()
            page.page.click("#keys")
            page.page.click("#hold >> text=Ctrl")
            page.page.click("#clipboard")
            page.page.fill("#outgoing", "y" * 5000)
            page.page.click("#type")
            page.press("Escape")
            page.page.wait_for_selector("#bar .chip >> text=/^Typing [0-9]+\\/5000/")
            self.wait_heard(page, lambda: self.console.keys().count((ord("y"), True)), "nothing was typed")
            page.page.click(".chip >> text=Typing")
            page.page.wait_for_selector(".chip", state="detached")
            page.page.locator("#stage canvas").focus()
            page.press("Enter")
            self.wait_heard(page, lambda: self.console.keys().count((ENTER, False)), "the keyboard is deaf")
            keys = self.console.keys()
            self.assertEqual(keys[:2], held([], CTRL))  # it is let go before a text is typed
            self.assertEqual(keys[2:-2], taps(*[ord("y")] * ((len(keys) - 4) // 2)))
            self.assertLess(len(keys), 10000)

        seen = await with_page(self.console.url(), steps)
        self.assertEqual(seen.complaints(), [])

    async def test_typing_broken_off(self):
        """Where the connection ends in the middle, the bar says how far the text got."""

        def steps(page):
            page.wait_painted()
            page.page.click("#clipboard")
            page.page.fill("#outgoing", "y" * 5000)
            page.page.click("#type")
            page.press("Escape")
            page.page.wait_for_selector("#bar .chip >> text=Typing")
            self.drop()
            page.page.click(".chip >> text=/^Typing stopped at [0-9]+\\/5000/")
            self.assertEqual(page.page.locator(".chip").count(), 0)

        await with_page(self.console.url(), steps)

    async def test_typing_in_the_background(self):
        """Typing does not depend on the page's own timers, which a hidden page has once a second or less."""

        def steps(page):
            page.wait_painted()
            page.page.evaluate("window.setTimeout = () => 0")
            self.type_text(page, "hello")
            self.wait_keys(page, taps(*b"hello"))

        seen = await with_page(self.console.url(), steps)
        self.assertEqual(seen.complaints(), [])


class ClipboardLimits(InputTest):
    async def test_too_long(self):
        """A text that the server would end the session for is not sent, and the page says so before."""

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
        await with_page(self.console.url(), steps)

    async def test_beyond_latin_1(self):
        """A server without the extended clipboard gets no question marks; one that has it gets the text."""

        def steps(page):
            page.wait_painted()
            page.page.click("#clipboard")
            page.page.fill("#outgoing", "né €5")
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
            self.console.messages.clear()
            page.page.fill("#outgoing", "né €5")
            self.assertEqual(page.page.locator("#typing").inner_text().count("clipboard"), 0)
            page.page.click("#send")
            page.wait_said("Sent.")
            notify = b"\6\0\0\0\xff\xff\xff\xfc\x08\0\0\1"
            self.wait_heard(page, lambda: notify in self.console.messages, "no notification")

        await with_page(self.console.url(), steps)

    async def test_nothing(self):
        def steps(page):
            page.wait_painted()
            page.page.click("#clipboard")
            for button in ("#type", "#send"):
                page.page.fill("#outgoing", "x")
                page.page.fill("#outgoing", "")
                page.page.click(button)
                page.wait_said("There is no text.")
            page.page.locator("#stage canvas").focus()
            page.type("z")
            self.wait_keys(page, taps(ord("z")))
            self.assertEqual(self.console.cut_texts(), [])

        await with_page(self.console.url(), steps)


class Phone(InputTest):
    async def test_key_row(self):
        """Keys that a phone's keyboard lacks stand in a row, which leaves that keyboard open."""

        def steps(page):
            page.wait_painted()
            page.page.tap("#touch")
            page.page.tap("#keyrow >> text=Ctrl")
            page.page.keyboard.insert_text("c")
            self.wait_heard(page, lambda: len(self.console.keys()) == 3, "no c")
            page.page.tap("#keyrow >> text=Ctrl")
            for key in ("[aria-label=Left]", "text=Home", "text=/^F5$/"):
                page.page.tap(f"#keyrow >> {key}")
            self.wait_keys(page, [*held(taps(ord("c")), CTRL), *taps(LEFT, HOME, F5)])
            self.assertEqual(page.page.evaluate("document.activeElement.id"), "field")

        seen = await with_page(self.console.url(), steps, **PHONE)
        self.assertEqual(seen.complaints(), [])

    async def test_keys_that_write_nothing(self):
        """A keyboard beside the phone, and some on its screen, have arrows and function keys: they arrive, too."""

        def steps(page):
            page.wait_painted()
            page.page.tap("#touch")
            for key in ("ArrowLeft", "Home", "F5"):
                page.press(key)
            self.wait_keys(page, taps(LEFT, HOME, F5))

        await with_page(self.console.url(), steps, **PHONE)

    async def test_key_held_down_repeats(self):
        def steps(page):
            page.wait_painted()
            box = page.page.locator("#keyrow [aria-label=Left]").bounding_box()
            self.touch(page, "touchStart", (box["x"] + 9, box["y"] + 9))
            self.wait_heard(page, lambda: len(self.console.keys()) >= 6, "it does not repeat")
            self.touch(page, "touchEnd")
            page.page.tap("#keyrow >> text=Home")
            self.wait_heard(page, lambda: self.console.keys().count((HOME, False)), "no Home")
            keys = self.console.keys()
            self.assertEqual(keys, taps(*[LEFT] * (len(keys) // 2 - 1), HOME))

        await with_page(self.console.url(), steps, **PHONE)

    async def test_panel_stays(self):
        """On a phone the panel of keys stays open, for several keys in a row."""

        def steps(page):
            page.wait_painted()
            page.page.tap("#keys")
            page.page.tap("#press >> text=/^Tab$/")
            page.page.tap("#press >> text=/^Esc$/")
            self.wait_keys(page, taps(0xFF09, 0xFF1B))

        await with_page(self.console.url(), steps, **PHONE)

    async def test_drag_to_move(self):
        """At the original size a finger moves the picture, and what lay outside can be clicked on."""

        def steps(page):
            page.wait_painted()
            page.page.tap("#more")
            page.page.tap("#original")
            page.page.wait_for_selector("#drag-row", state="visible")
            self.assertTrue(page.page.is_checked("#drag"))
            page.page.tap("#more")
            page.page.wait_for_selector("#panel-more", state="hidden")
            box = page.page.locator("#stage canvas").bounding_box()
            y = box["y"] + box["height"] / 2
            self.swipe(page, (250, y, 50, y))
            page.page.touchscreen.tap(260, y)
            self.wait_heard(page, lambda: any(mask for mask, _, _ in self.console.pointers()), "no click")
            clicks = [(mask, x) for mask, x, _ in self.console.pointers() if mask]
            self.assertEqual(clicks, [(1, 320 - 300 + 260)])
            page.page.tap("#more")
            page.page.tap("#drag-row")  # off: the finger is the mouse again
            page.page.tap("#more")
            self.console.messages.clear()
            self.swipe(page, (250, y, 50, y))
            self.wait_heard(page, lambda: any(mask for mask, _, _ in self.console.pointers()), "no drag")

        seen = await with_page(self.console.url(), steps, **PHONE | {"size": (300, 500)})
        self.assertEqual(seen.complaints(), [])

    async def test_drag_to_move_ends_with_the_session(self):
        """A screen that fits after the phone was turned meanwhile is not dragged: the finger is the mouse."""

        def steps(page):
            page.wait_painted()
            page.page.tap("#more")
            page.page.tap("#original")
            page.page.wait_for_selector("#drag-row", state="visible")
            page.page.tap("#connect")
            page.wait_said("The console was closed.")
            page.page.set_viewport_size({"width": 500, "height": 400})
            page.page.tap("#again")
            page.wait_painted()
            page.wait_said("Connected")
            box = page.page.locator("#stage canvas").bounding_box()
            y = box["y"] + box["height"] / 2
            self.swipe(page, (300, y, 180, y))
            self.wait_heard(page, lambda: any(mask for mask, _, _ in self.console.pointers()), "no drag")

        await with_page(self.console.url(), steps, **PHONE | {"size": (300, 500)})

    async def test_pinch(self):
        """Two fingers enlarge and move the picture, and the server hears nothing of it; clicks hit what is shown."""

        def steps(page):
            page.wait_painted()
            canvas = page.page.locator("#stage canvas")
            before = canvas.bounding_box()
            y = before["y"] + before["height"] / 2
            self.swipe(page, (180, y, 80, y), (210, y, 310, y))
            page.page.wait_for_function(
                "(width) => document.querySelector('canvas').clientWidth > 3 * width", arg=before["width"]
            )
            page.page.wait_for_selector(".chip >> text=Zoom")
            box = canvas.bounding_box()
            self.swipe(page, (120, y, 230, y), (240, y, 350, y))  # both to the right
            page.page.wait_for_function(
                "(x) => document.querySelector('canvas').getBoundingClientRect().x > x", arg=box["x"] + 20
            )
            self.assertEqual({mask for mask, _, _ in self.console.pointers()} | {0}, {0})
            self.assertEqual(self.console.keys(), [])
            box = canvas.bounding_box()
            page.page.touchscreen.tap(195, y)
            self.wait_heard(page, lambda: any(mask for mask, _, _ in self.console.pointers()), "no click")
            ((_, x, _),) = [pointer for pointer in self.console.pointers() if pointer[0]]
            self.assertLessEqual(abs(x - (195 - box["x"]) * 320 / box["width"]), 1)
            page.page.tap(".chip >> text=Zoom")
            page.page.wait_for_function(
                "(width) => document.querySelector('canvas').clientWidth === width", arg=before["width"]
            )

        seen = await with_page(self.console.url(), steps, **PHONE)
        self.assertEqual(seen.complaints(), [])

    async def test_targets(self):
        """Everything that a finger has to hit is 44 px wide and high at least."""

        def steps(page):
            small = []
            for width, height in ((390, 844), (844, 390), (320, 568)):
                page.page.set_viewport_size({"width": width, "height": height})
                page.page.goto(self.console.url())
                page.wait_painted()
                page.page.tap("#touch")
                for panel in ("keys", "clipboard", "more"):
                    page.page.tap(f"#{panel}")
                    if panel == "keys":
                        page.page.tap("#hold >> text=Ctrl")
                    small += [(width, *target) for target in page.page.evaluate(find)]
                    page.press("Escape")
                page.page.tap("#hide")
                box = page.page.locator("#show").bounding_box()
                self.assertGreaterEqual(box["height"], 44)
            self.assertEqual(small, [])

        find = """() => [...document.querySelectorAll('button, select, label.choice, a')]
            .map((element) => [element.textContent, element.getBoundingClientRect()])
            .filter(([, { width, height }]) => width && (Math.round(width) < 44 || Math.round(height) < 44))
            .map(([words, { width, height }]) => [words, width, height])"""
        await with_page(self.console.url(), steps, **PHONE)


class Access(InputTest):
    async def test_view_only_row(self):
        """Where nothing may reach the server, the row of keys is not there."""

        def steps(page):
            page.wait_painted()
            page.wait_said("view only")
            self.assertFalse(page.page.locator("#keyrow").is_visible())

        await with_page(self.console.url("token=T&view_only=1"), steps, **PHONE)
        self.assertLessEqual({message[0] for message in self.console.messages}, ASKS)

    async def test_forced_colours(self):
        """In forced colours the switch is drawn by the browser, since the page's colours are gone."""

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

        await with_page(self.console.url(), steps, forced_colors="active")

    async def test_focus_after_disconnect(self):
        """Who disconnects by the keyboard or the mouse is on the card that offers to reconnect."""

        def steps(page):
            page.wait_painted()
            for press in (lambda: page.page.click("#connect"), lambda: page.page.press("#connect", "Enter")):
                page.page.click("#more")
                press()
                page.wait_said("The console was closed.")
                page.page.wait_for_function("() => document.activeElement.id === 'again'")
                page.press("Enter")
                page.wait_painted()

        await with_page(self.console.url(), steps)
