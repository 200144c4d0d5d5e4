"""A long list in a real browser: which tiles request pictures, and the users shown when there are many sessions."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.api.harness import instance, uuid_of
from tests.web.test_list import ListCase

SERVERS = 120

NEAR = """() => [...document.querySelectorAll('.tile img')].filter((image) => {
    const {top, bottom} = image.getBoundingClientRect();
    return bottom > -100 && top < innerHeight + 100;
}).map((image) => image.dataset.id)"""
"""The servers whose screens are visible, or less than 100 pixels (the margin in pictures.js) away."""

HIDE = """(hidden) => {
    const real = window.fetch;
    window.asked = 0;
    window.fetch = (address, ...more) => {
        window.asked += address.includes('/screenshot?') ? 1 : 0;
        return real(address, ...more);
    };
    Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
    document.dispatchEvent(new Event('visibilitychange'));
}"""
"""Hides or shows the tab, which headless browsers never do, and counts requests for pictures from then on."""


class LongListTests(ListCase):
    """Many servers, all running."""

    async def setUp(self) -> None:
        await super().setUp()
        self.servers = {name: instance(name) for name in (f"vm-{number:03}" for number in range(SERVERS))}
        await self.publish()

    def asked(self) -> set[str]:
        """The servers whose pictures have been asked for."""
        return {uuid for uuid, *_ in self.host.asked}

    async def test_only_visible_tiles_ask_for_pictures(self) -> None:
        """After scrolling, other tiles request pictures; in a hidden tab, none does."""

        def steps(view: Any) -> None:
            page = view.page
            page.locator(".tile").nth(SERVERS - 1).wait_for(state="attached")
            near = set(page.evaluate(NEAR))
            self.until(lambda: self.asked() >= near)
            # No picture is requested again before each visible tile has one.
            self.host.asked.clear()
            page.clock.fast_forward(6000)
            self.until(lambda: len(self.host.asked) > len(self.asked()))
            # Not only ``near``, because tiles are smaller before they are drawn.
            self.assertLess(len(self.asked()), SERVERS / 2)
            last = uuid_of(f"vm-{SERVERS - 1:03}")
            self.assertNotIn(last, self.asked())
            page.evaluate("() => scrollTo(0, document.body.scrollHeight)")
            self.until(lambda: last in self.asked())
            page.evaluate(HIDE, True)
            page.clock.run_for(60_000)
            self.assertEqual(page.evaluate("() => asked"), 0)
            page.evaluate(HIDE, False)
            page.wait_for_function("() => asked > 0")

        await self.visit(steps, clock=True)

    async def test_who_is_on_it_with_many_sessions(self) -> None:
        """All pages of sessions are read, up to ten; then the list says that users may be missing."""
        asked: list[str] = []
        endless = False

        def answer(route: Any) -> None:
            (marker,) = parse_qs(urlsplit(route.request.url).query).get("marker", ["0"])
            asked.append(marker)
            number = int(marker) + 1
            session = {"id": str(number), "server_id": uuid_of(f"vm-{number:03}"), "user_id": f"user-{number}"}
            route.fulfill(json={"sessions": [session], "next": str(number) if endless or number < 3 else None})

        def steps(view: Any) -> None:
            nonlocal endless
            page = view.page
            page.route("**/v1/sessions?*", answer)
            page.reload()
            page.locator(".tile", has_text="vm-003").locator(".users:has-text('user-3')").wait_for()
            self.assertEqual(set(asked), {"0", "1", "2"})
            self.assertEqual(page.locator(".count").inner_text(), f"{SERVERS} servers")
            endless = True
            asked.clear()
            page.reload()
            page.locator(".count:has-text('too many sessions')").wait_for()
            self.assertEqual(set(asked), set(map(str, range(10))))
            page.unroute("**/v1/sessions?*")

        await self.visit(steps)
