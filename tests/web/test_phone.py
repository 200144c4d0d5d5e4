"""What a person does at the console page on a phone, judged by what the VNC server received."""

import struct

from tests.web.page_case import ASKS, PageTest
from tests.web.steps import CTRL, F5, HOME, LEFT, LONG_TIMES_END_BY_THE_TEST, PHONE, TAB, held, taps
from tests.web.synthetic_touch import SyntheticTouch

FIX_THE_SIZE = """
    document.addEventListener('readystatechange', () => { // before the page's own script
        const settings = document.createElement('meta');
        settings.name = 'page-settings';
        settings.content = '{"fixed": {"picture": "original"}}';
        document.head.append(settings);
    });
"""
"""The operator has fixed the original size."""


class Phone(PageTest):
    async def test_key_row(self):
        """A row has the keys that a phone's keyboard lacks; using it leaves that keyboard open."""

        def steps(page):
            page.wait_painted()
            self.tap(page, "#touch")
            self.tap(page, "#keyrow >> text=Ctrl")
            page.page.keyboard.insert_text("c")
            self.wait_heard(page, lambda: len(self.console.keys()) == 3, "no c")
            self.tap(page, "#keyrow >> text=Ctrl")
            for key in ("[aria-label=Left]", "text=Home", "text=/^F5$/"):
                self.tap(page, f"#keyrow >> {key}")
            self.wait_keys(page, [*held(taps(ord("c")), CTRL), *taps(LEFT, HOME, F5)])
            self.assertEqual(page.page.evaluate("document.activeElement.id"), "field")

        await self.visit_cleanly(steps, script=LONG_TIMES_END_BY_THE_TEST, **PHONE)

    async def test_a_name_of_usual_length_is_whole_on_a_phone(self):
        """It has two lines beside six buttons, which is the most that a phone shows."""
        self.console.name = "frontend-web-01"

        def steps(page):
            page.wait_painted()
            page.page.evaluate("() => { document.getElementById('people').hidden = false; }")
            self.assertEqual(page.page.locator("#tools button:visible").count(), 6)
            sizes = page.page.locator("#name").evaluate(
                "(e) => [e, e.firstChild].flatMap((each) =>"
                " [each.scrollWidth - each.clientWidth, each.scrollHeight - each.clientHeight])"
            )
            self.assertEqual(sizes, [0, 0, 0, 0])

        await self.visit(steps, **PHONE)

    async def test_keys_keep_their_order(self):
        """Keys of the row, the chips and the panel are sent after the letters that were written before."""

        def steps(page):
            page.wait_painted()
            self.tap(page, "#touch")
            # All at once, while the first letter is being sent.
            page.page.evaluate(
                """() => {
                    const field = document.getElementById('field');
                    field.value += 'phone';
                    field.dispatchEvent(new InputEvent('input'));
                    const key = (where, name) => [...document.querySelectorAll(`${where} button`)].find(
                        (each) => each.textContent.startsWith(name)).click();
                    key('#keyrow', 'Ctrl');
                    key('#press', 'Tab');
                    key('#chips', 'Ctrl');
                }"""
            )
            self.wait_keys(page, [*taps(*map(ord, "phone")), *held(taps(TAB), CTRL)])
            page.page.wait_for_selector("#chips button", state="detached")

        await self.visit_cleanly(steps, **PHONE)

    async def test_keys_that_write_nothing(self):
        """Arrows and function keys reach the server: external keyboards have them, and some on-screen ones."""

        def steps(page):
            page.wait_painted()
            self.tap(page, "#touch")
            for key in ("ArrowLeft", "Home", "F5"):
                page.press(key)
            self.wait_keys(page, taps(LEFT, HOME, F5))

        await self.visit(steps, **PHONE)

    async def test_a_key_that_the_page_used(self):
        """Enter on an external keyboard, held down, opens the on-screen keyboard: the server does not receive it."""

        def steps(page):
            page.wait_painted()
            page.page.locator("#touch").focus()
            page.page.keyboard.down("Enter")
            page.page.wait_for_function("() => document.activeElement.id === 'field'")
            page.page.keyboard.down("Enter")
            page.page.keyboard.up("Enter")
            for _ in range(2):
                page.page.keyboard.down("Home")
            page.page.keyboard.up("Home")
            self.wait_keys(page, taps(HOME, HOME))

        await self.visit(steps, **PHONE)

    async def test_key_held_down_repeats(self):
        def steps(page):
            page.wait_painted()
            box = page.page.locator("#keyrow [aria-label=Left]").bounding_box()
            self.touch(page, "touchStart", (box["x"] + 9, box["y"] + 9))
            self.wait_heard(page, lambda: len(self.console.keys()) >= 6, "it does not repeat")
            self.touch(page, "touchEnd")
            self.tap(page, "#keyrow >> text=Home")
            self.wait_heard(page, lambda: self.console.keys().count((HOME, False)), "no Home")
            keys = self.console.keys()
            self.assertEqual(keys, taps(*[LEFT] * (len(keys) // 2 - 1), HOME))

        await self.visit(steps, **PHONE)

    async def test_panel_stays(self):
        """On a phone the panel of keys stays open, for several keys in a row."""

        def steps(page):
            page.wait_painted()
            self.tap(page, "#keys")
            self.tap(page, "#press >> text=/^Tab$/")
            self.tap(page, "#press >> text=/^Esc$/")
            self.wait_keys(page, taps(0xFF09, 0xFF1B))

        await self.visit(steps, **PHONE)

    async def test_drag_to_move(self):
        """At the original size a finger moves the picture, so that every part of it can be clicked."""

        def steps(page):
            page.wait_painted()
            self.original_size(page)
            self.assertTrue(page.page.is_checked("#drag"))
            self.tap(page, "#more")
            page.page.wait_for_selector("#panel-more", state="hidden")
            box = page.page.locator("#stage canvas").bounding_box()
            y = box["y"] + box["height"] / 2
            self.swipe(page, (250, y, 50, y))
            self.tap_at(page, 260, y)
            self.wait_pointer(page, "no click")
            clicks = [(mask, x) for mask, x, _ in self.console.pointers() if mask]
            self.assertEqual(clicks, [(1, 320 - 300 + 260)])
            self.tap(page, "#more")
            self.tap(page, "#drag-row")  # off: a finger acts as the mouse again
            self.tap(page, "#more")
            self.forget(page)
            self.swipe(page, (250, y, 50, y))
            self.wait_pointer(page, "no drag")

        await self.visit_cleanly(steps, script=LONG_TIMES_END_BY_THE_TEST, **PHONE | {"size": (300, 500)})

    async def test_drag_to_move_ends_with_the_session(self):
        """A screen that fits, because the phone was turned meanwhile, is not dragged: a finger acts as the mouse."""

        def steps(page):
            page.wait_painted()
            self.original_size(page)
            self.tap(page, "#connect")
            page.wait_said("The console was closed.")
            page.page.set_viewport_size({"width": 500, "height": 400})
            self.tap(page, "#again")
            page.wait_painted()
            page.wait_said("Connected")
            box = page.page.locator("#stage canvas").bounding_box()
            y = box["y"] + box["height"] / 2
            self.swipe(page, (300, y, 180, y))
            self.wait_pointer(page, "no drag")

        await self.visit(steps, script=LONG_TIMES_END_BY_THE_TEST, **PHONE | {"size": (300, 500)})

    async def test_pinch(self):
        """Two fingers enlarge and move the picture without sending anything; clicks hit what is shown."""

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
            self.tap_at(page, 195, y)
            self.wait_pointer(page, "no click")
            ((_, x, _),) = [pointer for pointer in self.console.pointers() if pointer[0]]
            self.assertLessEqual(abs(x - (195 - box["x"]) * 320 / box["width"]), 1)
            self.tap(page, ".chip >> text=Zoom")
            page.page.wait_for_function(
                "(width) => document.querySelector('canvas').clientWidth === width", arg=before["width"]
            )

        await self.visit_cleanly(steps, script=LONG_TIMES_END_BY_THE_TEST, **PHONE)

    async def test_pinch_at_a_fixed_size(self):
        """The original size that the operator has fixed returns when the zoom ends."""

        def steps(page):
            page.wait_painted()
            box = page.page.locator("#stage canvas").bounding_box()
            y = box["y"] + box["height"] / 2
            chip = page.page.locator(".chip", has_text="Zoom")
            for end in (
                lambda: self.tap(page, ".chip[title^=Original]"),
                lambda: self.swipe(page, (80, y, 185, y), (310, y, 205, y)),
            ):
                self.swipe(page, (180, y, 80, y), (210, y, 310, y))
                chip.wait_for()
                self.assertTrue(page.page.locator("#scale").is_checked())
                end()
                chip.wait_for(state="detached")
                self.assertTrue(page.page.locator("#original").is_checked())
                self.assertEqual(page.page.evaluate("document.querySelector('canvas').clientWidth"), 320)

        await self.visit(steps, script=LONG_TIMES_END_BY_THE_TEST + FIX_THE_SIZE, **PHONE)

    async def test_zoom_ends_when_the_server_fits_the_window(self):
        """The server is asked for the size of the window, not for that of the enlarged picture."""
        self.console.resizable = True

        def asked():
            return [struct.unpack_from(">HH", message, 2) for message in self.console.messages if message[0] == 251]

        def steps(page):
            page.wait_painted()
            self.swipe(page, (180, 400, 80, 400), (210, 400, 310, 400))
            page.page.wait_for_selector(".chip >> text=Zoom")
            self.tap(page, "#more")
            self.tap(page, "#remote")
            self.wait_heard(page, asked, "no size")
            self.assertEqual({width for width, _ in asked()}, {390})
            self.assertEqual(page.page.locator(".chip >> text=Zoom").count(), 0)

        await self.visit(steps, script=LONG_TIMES_END_BY_THE_TEST, **PHONE)

    async def test_targets(self):
        """Every target for a finger is at least 44 px wide and high."""

        def steps(page):
            small = []
            for width, height in ((390, 844), (844, 390), (320, 568)):
                page.page.set_viewport_size({"width": width, "height": height})
                page.page.goto(self.console.url())
                page.wait_painted()
                self.tap(page, "#touch")
                for panel in ("keys", "clipboard", "more"):
                    self.tap(page, f"#{panel}")
                    if panel == "keys":
                        self.tap(page, "#hold >> text=Ctrl")
                    small += [(width, *target) for target in page.page.evaluate(find)]
                    page.press("Escape")
                self.tap(page, "#hide")
                box = page.page.locator("#show").bounding_box()
                self.assertGreaterEqual(box["height"], 44)
            self.assertEqual(small, [])

        find = """() => [...document.querySelectorAll('button, select, label.choice, a')]
            .map((element) => [element.textContent, element.getBoundingClientRect()])
            .filter(([, { width, height }]) => width && (Math.round(width) < 44 || Math.round(height) < 44))
            .map(([words, { width, height }]) => [words, width, height])"""
        await self.visit(steps, **PHONE)

    async def test_view_only_row(self):
        """A view-only console has no row of keys."""

        def steps(page):
            page.wait_painted()
            page.wait_said("view only")
            self.assertFalse(page.page.locator("#keyrow").is_visible())

        await self.visit(steps, "token=T&view_only=1", **PHONE)
        self.assertLessEqual({message[0] for message in self.console.messages}, ASKS)


class PhoneInFirefox(SyntheticTouch, Phone):
    """The same in Firefox, which has neither a viewport of a phone nor an on-screen keyboard here."""
