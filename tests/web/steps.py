"""What a person does at the console page, and how a test waits until the VNC server received it.

A mixin for test cases with a ``console`` (`tests.web.fake_console.FakeConsole`).  Its methods block: call them in the
thread of a visit's steps.
"""

from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread

SHIFT, CTRL, ALT, DELETE, ENTER, TAB, ESCAPE, F2 = 0xFFE1, 0xFFE3, 0xFFE9, 0xFFFF, 0xFF0D, 0xFF09, 0xFF1B, 0xFFBF
CAPS_LOCK, LEFT, HOME, F5, SYSRQ, BACKSPACE, ALTGR = 0xFFE5, 0xFF51, 0xFF50, 0xFFC2, 0xFF15, 0xFF08, 0xFE03
PHONE = {"size": (390, 844), "has_touch": True, "is_mobile": True}


def taps(*keysyms):
    """Key events: each key is pressed and released."""
    return [event for keysym in keysyms for event in ((keysym, True), (keysym, False))]


def held(events, *modifiers):
    """The same events while modifiers are down."""
    return [*((key, True) for key in modifiers), *events, *((key, False) for key in reversed(modifiers))]


class Steps:
    """Steps that several tests need."""

    def wait(self, page, condition):
        """Wait until the condition holds, for 20 s at most; return whether it does."""
        for _ in range(800):
            if condition():
                return True
            page.page.wait_for_timeout(25)
        return False

    def wait_heard(self, page, condition, what):
        """Wait until the server has received something; fail with ``what`` otherwise."""
        if not self.wait(page, condition):
            self.fail(f"{what}; received: {self.console.messages[-20:]}")

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

    def refuse(self, row):
        """Refuse the next connections with this row of the table of refusals."""
        self.console.refusal = lambda params: (row.close_code, row.sentence)

    def leds(self, page, *, caps_lock):
        """Send the guest's LED state, and wait until the page has read it: it then asks for the next update."""

        def requests():
            return sum(message[0] == 3 for message in self.console.messages)

        before = requests()
        self.viewer("leds", caps_lock=caps_lock)
        self.wait_heard(page, lambda: requests() > before, "no request after the LED state")

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
        page.page.tap("#more")
        page.page.tap("#original")
        page.page.wait_for_selector("#drag-row", state="visible")

    def focus_screen(self, page):
        """Give the keyboard to the server's screen."""
        page.page.locator("#stage canvas").focus()

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
