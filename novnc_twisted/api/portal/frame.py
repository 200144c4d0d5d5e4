"""The parts that pages share: the reader's language, the header with the user, and the error page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from novnc_twisted.api.portal import html, views
from novnc_twisted.api.portal.assets import Assets
from novnc_twisted.api.portal.words import Words
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.identity.browser_login import IBrowserLogins
from novnc_twisted.identity.users import Caller

Report: TypeAlias = Callable[[Request, HTTPError, BaseException], None]
"""Reports an error.  Takes the request, the error that a page shows, and its cause, which may be the error itself."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request whose caller is known.

    :ivar base: the path of the list of servers.
    :ivar words: the texts in the reader's language.
    """

    request: Request
    caller: Caller
    base: str
    words: Words


class Frame:
    """Makes pages.

    :param report: called by the code that catches an error, before a page shows the error.
    :param logins: None: there is no log-in (noauth), so the header has no button to log out.
    """

    def __init__(self, assets: Assets, logins: IBrowserLogins | None, report: Report) -> None:
        self.assets = assets
        self.report = report
        self._logins = logins

    def words(self, request: Request) -> Words:
        """Return the texts for a request."""
        return self.assets.languages.of(request)

    def bare(self, request: Request, title: str, body: html.Markup, *, status: int = 200) -> Response:
        """Return a page without a header: the log-in form, or the page on which a user chooses a project.

        :param title: the title in English; this method translates it.
        """
        words = self.words(request)
        return html.page(request, words, words(title), body, style=self.assets.style, status=status)

    async def whole(
        self, visit: Visit, title: str, body: html.Markup, *, scripted: bool = False, frames: bool = False
    ) -> Response:
        """Return a page with the header, and extend the user's log-in if a renewal is due.

        :param title: the title in the reader's language.
        :param scripted: whether the page loads :attr:`.Assets.script`.
        :param frames: whether the page shows consoles in frames.
        """
        page = html.page(
            visit.request,
            visit.words,
            title,
            self._header(visit),
            body,
            script=self.assets.script if scripted else "",
            style=self.assets.style,
            frames=frames,
        )
        return page.with_headers(*(await self._logins.renewal(visit.request) if self._logins else ()))

    def problem(self, request: Request, base: str, error: HTTPError, visit: Visit | None = None) -> Response:
        """Return the page that says why something was not done.

        :param visit: None: the caller is not known, so the page has no header.
        """
        words = self.words(request)
        title = words("Not found" if error.status == 404 else "This did not work")
        # Offer the choice of another project: a user without a role in the chosen project may have one in another.
        lost = error.status == 403 and visit is None and self._switches(request)
        body = views.message(words, title, words.sentence(error.message), base, project=lost)
        top = [self._header(visit)] if visit else []
        page = html.page(request, words, title, *top, body, style=self.assets.style, status=error.status)
        return page.with_headers(*error.headers)

    def _header(self, visit: Visit) -> html.Markup:
        logged_in = self._logins is not None and self._logins.has_cookie(visit.request)
        switches = self._switches(visit.request)
        return views.header(visit.words, visit.base, visit.caller, can_log_out=logged_in, switches=switches)

    def _switches(self, request: Request) -> bool:
        return self._logins is not None and self._logins.has_projects and self._logins.has_cookie(request)
