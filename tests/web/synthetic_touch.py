"""Touch in Firefox: Playwright cannot send it there, so a script in the page dispatches the events.

This tests what the page does with the events, but not what the browser itself does: scrolling, moving the focus, an
on-screen keyboard, zooming the whole page.
"""

from typing import Any

DISPATCH = """([kind, points]) => {
    const hand = window.hand ??= {target: null, fingers: []};
    if (kind === 'touchStart') {
        hand.target = document.elementFromPoint(points[0][0], points[0][1]);
    }
    const ends = kind === 'touchEnd';
    const changed = ends ? hand.fingers : points.map(([clientX, clientY], identifier) => new Touch(
        {identifier, target: hand.target, clientX, clientY, pageX: clientX, pageY: clientY}));
    const touches = ends ? [] : changed;
    const usual = {bubbles: true, cancelable: true, composed: true};
    const pointer = {touchStart: 'pointerdown', touchMove: 'pointermove', touchEnd: 'pointerup'}[kind];
    for (const {identifier, clientX, clientY} of changed) {
        hand.target.dispatchEvent(new PointerEvent(pointer, {...usual, pointerType: 'touch', pointerId: identifier + 2,
            isPrimary: !identifier, clientX, clientY, buttons: ends ? 0 : 1}));
    }
    const free = hand.target.dispatchEvent(new TouchEvent(kind.toLowerCase(), {
        ...usual, touches, targetTouches: touches, changedTouches: changed}));
    hand.fingers = changed;
    return free;
}"""
"""Dispatch the events of fingers at these points; returns whether the page did not prevent the default action."""

CLICK = "() => window.hand.target.closest('button, label, input, a, select')?.click()"


class SyntheticTouch:
    """For a test case with the methods of `Steps`: Firefox, and synthetic touch events."""

    browser = "firefox-phone"

    async def visit(self, steps: Any, *arguments: Any, **options: Any) -> Any:
        """Drop the options that Playwright has for Chromium only."""
        left = {name: value for name, value in options.items() if name not in ("has_touch", "is_mobile")}
        return await super().visit(steps, *arguments, **left)  # type: ignore[misc]

    def tap(self, page: Any, selector: str) -> None:
        """Tap the middle of an element, or what lies above it."""
        element = page.page.locator(selector).first
        element.scroll_into_view_if_needed()
        box = element.bounding_box()
        self.tap_at(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def tap_at(self, page: Any, x: float, y: float) -> None:
        """Tap a point of the window; a click follows unless the page prevents it."""
        self.touch(page, "touchStart", (x, y))
        if self.touch(page, "touchEnd"):
            page.page.evaluate(CLICK)

    def touch(self, page: Any, kind: str, *points: tuple[float, float]) -> bool:
        """Send one touch event with a finger at each of these points; return whether it was not prevented."""
        return bool(page.page.evaluate(DISPATCH, [kind, points]))
