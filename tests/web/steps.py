"""Do what a user does at the console page, and wait until the VNC server has received it.

A mixin for test cases with a ``console`` (`tests.web.fake_console.FakeConsole`).  Its methods block: call them in the
thread of a visit's steps.
"""

from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread

from tests.support.console_page import OFTEN

SHIFT, CTRL, ALT, DELETE, ENTER, TAB, ESCAPE, F2 = 0xFFE1, 0xFFE3, 0xFFE9, 0xFFFF, 0xFF0D, 0xFF09, 0xFF1B, 0xFFBF
CAPS_LOCK, LEFT, HOME, F5, SYSRQ, BACKSPACE, ALTGR = 0xFFE5, 0xFF51, 0xFF50, 0xFFC2, 0xFF15, 0xFF08, 0xFE03
NAME = "(it) => it === document.body ? '' : it.ariaLabel || it.labels?.[0]?.textContent || it.textContent"
FOCUSED = f"() => ({NAME})(document.activeElement)"
THERE = f"""(words) => [...document.querySelectorAll('a, button, input, select, summary')].some(
    (each) => ({NAME})(each).includes(words) && !each.disabled && each.checkVisibility())"""
# Timers that a press starts in the page: for a second press that confirms, a long touch, or a key that repeats.  On a
# busy machine the next press may come too late, and a note that disappears may be gone before the test reads it.
LONG_TIMES_END_BY_THE_TEST = """
    const begun = Date.now();
    Date.now = () => begun;
    const { setTimeout: begin, clearTimeout: end } = window;
    const held = new Map();
    let last = 0;
    window.setTimeout = (work, ms = 0, ...more) => {
        if (ms < 400) {
            return begin(work, ms, ...more);
        }
        held.set(last -= 1, () => work(...more));
        return last;
    };
    window.clearTimeout = (timer) => held.delete(timer) || end(timer);
    window.endTimes = () => {
        const works = [...held.values()];
        held.clear();
        works.forEach((work) => work());
    };
"""
"""The page's timers of 0.4 s and more fire only when the test calls ``endTimes()``; Date.now() is constant."""

PHONE = {"size": (390, 844), "has_touch": True, "is_mobile": True}


def taps(*keysyms):
    """Key events: each key is pressed and released."""
    return [event for keysym in keysyms for event in ((keysym, True), (keysym, False))]


def held(events, *modifiers):
    """The same events while modifiers are down."""
    return [*((key, True) for key in modifiers), *events, *((key, False) for key in reversed(modifiers))]


def tab_to(page, words, key="Tab"):
    """Wait for an element with these words in its name, and press a key until it has the focus; at most 60 times."""
    page.wait_for_function(THERE, arg=words, polling=OFTEN)
    for _ in range(60):
        if words in page.evaluate(FOCUSED):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{words} is not reached by {key}")


class Steps:
    """Steps that several tests need."""

    def wait(self, page, condition):
        """Wait until the condition holds, for 60 s at most; return whether it does."""
        for _ in range(1200):
            if condition():
                return True
            page.page.wait_for_timeout(50)
        return False

    def wait_heard(self, page, condition, what):
        """Wait until the server has received something; fail with ``what`` otherwise."""
        if not self.wait(page, condition):
            self.fail(f"{what}; received: {self.console.messages[-20:]}")

    def send_update(self, page, method, **options):
        """Send a framebuffer update, and wait until the page has read it.

        The page answers each update with a request, which comes after all that it sent before.  The update is sent
        twice, since the request for an earlier one may still be under way.
        """

        def requests():
            return sum(message[0] == 3 for message in self.console.messages)

        before = requests()
        for _ in range(2):
            self.viewer(method, **options)
        self.wait_heard(page, lambda: requests() >= before + 2, "no request after an update")

    def forget(self, page):
        """Wait until the server has received all that the page has sent, and forget it."""
        self.send_update(page, "paint")
        self.console.messages.clear()

    def wait_keys(self, page, expected):
        """Wait until the server has received these key events, and no others."""
        self.wait(page, lambda: len(self.console.keys()) >= len(expected))
        self.assertEqual(self.console.keys(), expected)

    def wait_pointer(self, page, what):
        """Wait until the server has received a pressed mouse button."""
        self.wait_heard(page, lambda: any(mask for mask, _, _ in self.console.pointers()), what)

    def wait_viewers(self, page, count):
        """Wait until the page has made this many connections."""
        self.wait(page, lambda: len(self.console.viewers) >= count)
        self.assertGreaterEqual(len(self.console.viewers), count)

    def viewer(self, method, *arguments, **options):
        """Call a method of the newest connection, in the reactor's thread."""
        return blockingCallFromThread(reactor, lambda: getattr(self.console.viewers[-1], method)(*arguments, **options))

    def drop(self):
        """Cut every connection without a close frame, as a broken network does."""
        blockingCallFromThread(reactor, lambda: [viewer.transport.abortConnection() for viewer in self.console.viewers])

    def drop_for_a_while(self):
        """Cut every connection; the page's next one is not answered until `go_on`."""
        self.console.mute = True
        self.drop()

    def go_on(self):
        """Answer the connections that wait, and all others."""

        def begin():
            self.console.mute = False
            while self.console.waiting:
                self.console.waiting.pop().begin()

        blockingCallFromThread(reactor, begin)

    def refuse(self, row):
        """Refuse the next connections with this row of the table of refusals."""
        self.console.refusal = lambda params: (row.close_code, row.sentence)

    def leds(self, page, *, caps_lock):
        """Send the guest's LED state, and wait until the page has read it."""
        self.send_update(page, "leds", caps_lock=caps_lock)

    def write_text(self, page, text, layout=None):
        """Open the clipboard panel, and write a text into its field.

        :param layout: the keyboard layout to choose for typing; None: leave it.
        """
        if not page.page.locator("#panel-clipboard").is_visible():
            page.page.click("#clipboard")
        if layout is not None:
            page.page.select_option("#layout", layout)
        page.page.fill("#outgoing", text)

    def type_text(self, page, text, layout=None):
        """Type a text as keys, from the clipboard panel."""
        self.write_text(page, text, layout)
        page.page.click("#type")
        page.wait_said("Typed.")

    def original_size(self, page):
        """Show a screen that is larger than the phone at its original size."""
        self.tap(page, "#more")
        self.tap(page, "#original")
        page.page.wait_for_selector("#drag-row", state="visible")

    def focus_screen(self, page):
        """Give the keyboard to the server's screen."""
        page.page.locator("#stage canvas").focus()

    def tap(self, page, selector):
        """Tap an element."""
        page.page.tap(selector)

    def tap_at(self, page, x, y):
        """Tap a point of the window."""
        page.page.touchscreen.tap(x, y)

    def touch(self, page, kind, *points):
        """Send one touch event with a finger at each of these points."""
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
