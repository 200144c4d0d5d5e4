"""Checks the accessibility of a page of :mod:`tests.support.browser` with axe-core."""

from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / "novnc_twisted" / "web" / "node_modules" / "axe-core" / "axe.min.js"

LOOKS = tuple((scheme, size) for size in ((1280, 800), (390, 844)) for scheme in ("light", "dark"))
"""The colour schemes and sizes of a window in which each state is examined."""

OPPOSITES = (LOOKS[0], LOOKS[-1])
"""Light on a desktop, dark on a phone: enough for a state that looks like one examined before."""

ABOUT_COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules whose result depends on the colour scheme."""

RUN = """async (rules) => (await axe.run(document, {
    resultTypes: ['violations'], ...(rules && {runOnly: rules})})).violations.map(
    ({id, nodes}) => `${id}: ${nodes.map(({html, any}) => `${html.slice(0, 200)} ${any.map(
        ({message}) => message).join('; ')}`).join(' | ')}`)"""


class Axe:
    """Examines a page, state by state.

    :ivar found: the violations, each with the state and the look.
    """

    def __init__(self, page: Any) -> None:
        if not SOURCE.exists():
            raise FileNotFoundError("axe-core is not installed: npm ci in novnc_twisted/web")
        self._page = page
        self._source = SOURCE.read_text()
        self.found: list[str] = []

    def examine(self, state: str, looks: tuple[tuple[str, tuple[int, int]], ...] = LOOKS) -> None:
        """Examine the page in each look; in the second colour scheme of a size, only its colours.

        :param state: what it shows, for :attr:`found`.
        """
        page = self._page
        if not page.evaluate("() => Boolean(window.axe)"):
            # Not as a script element, which the page's Content-Security-Policy forbids.
            page.evaluate(f"() => {{ {self._source} }}")
        sizes = set()
        for scheme, size in looks:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
            rules = ABOUT_COLOURS if size in sizes else None
            self.found += [f"{state}, {scheme}, {size[0]}: {line}" for line in page.evaluate(RUN, rules)]
            sizes.add(size)
