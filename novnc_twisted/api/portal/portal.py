"""The pages below ``/console/``.  The portal answers each request with a page, a file or a redirect."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Final
from urllib.parse import urlencode

from novnc_twisted.api.console.servers import row
from novnc_twisted.api.errors import error_of
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.api.links import Links, LinkTerms
from novnc_twisted.api.portal import html, views
from novnc_twisted.api.portal.account import AccountPage
from novnc_twisted.api.portal.assets import Assets
from novnc_twisted.api.portal.filters import Filters
from novnc_twisted.api.portal.forms import fields_of, local_path, need
from novnc_twisted.api.portal.frame import Frame, Report, Visit
from novnc_twisted.api.portal.log_in import LogInPages
from novnc_twisted.api.portal.split import SplitPage
from novnc_twisted.api.power import Power
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import NOVNC
from novnc_twisted.errors import InstanceNotFound, Refusal
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import NOT_FOUND
from novnc_twisted.identity.api_tokens import APITokens
from novnc_twisted.identity.browser_login import IBrowserLogins, NoProject
from novnc_twisted.identity.users import Caller

PAGE_SIZE: Final = 200
"""Maximum number of servers in one table."""

PATHS: Final = (
    *("console", "console/favicon.svg", "console/assets", "console/split"),
    *("console/login", "console/logout", "console/logout/everywhere", "console/project"),
    *("console/account", "console/account/tokens", "console/account/revoke"),
    *("console/servers/{}", "console/servers/{}/open", "console/servers/{}/power"),
)
"""The patterns of all paths, except those of files below ``console/assets`` and of the operator's logo and style sheet.

``{}`` matches one segment.
"""

_FOLDERS: Final = ("assets", "favicon.svg")
"""First path segments of the files that :class:`Assets` returns."""


class Portal:
    """Answers the requests for the pages, their forms, and the files that the build of novnc_twisted/web has made.

    :param logins: the log-ins of browsers; None: there is no log-in.
    :param tokens: the API tokens of users; None with ``noauth``.
    :param power: begins power actions.
    :param report: called with each error that a page shows.
    :param answered: called with each request that was answered without an error, if its page or action is about
        servers.  Such an answer may show that an outage is over (see :class:`.Outages`).
    :param admitted: returns a context manager for the work on a request.  The context manager refuses the request if
        too many earlier requests still wait for their answers; see :meth:`.ComputeAPI.admitted`.
    """

    def __init__(
        self,
        logins: IBrowserLogins | None,
        tokens: APITokens | None,
        inventory: Inventory,
        links: Links,
        power: Power,
        admitted: Callable[[], AbstractContextManager[None]],
        report: Report,
        answered: Callable[[Request], None],
        assets: Assets | None = None,
    ) -> None:
        self._inventory = inventory
        self._links = links
        self._power = power
        self._admitted = admitted
        self._answered = answered
        self._assets = Assets() if assets is None else assets
        self._frame = Frame(self._assets, logins, report)
        self._split = SplitPage(inventory, self._frame)
        self._log_in = LogInPages(logins, tokens, self._frame)
        self._account = AccountPage(tokens, self._frame) if tokens else None

    async def answer(
        self, request: Request, segments: tuple[str, ...], caller_of: Callable[[Request], Awaitable[Caller]]
    ) -> Response:
        """Return a page, a file or a redirect.  After an error, return a page that describes it.

        :param segments: the path segments after ``console``.
        :param caller_of: returns the caller of a request.  It raises HTTPError 401 if the browser is not logged in, and
            NoProject if the user has to choose a project first.
        """
        base = f"{request.prefix}/console/"
        visit = None
        try:
            if segments[:1] and segments[0] in _FOLDERS:
                need(request, "GET", "HEAD")
                return self._assets.response(request, "/".join(segments))
            if segments[:1] in (("login",), ("logout",), ("project",)):
                return await self._log_in.answer(request, segments, base)
            try:
                caller = await caller_of(request)
            except NoProject:
                if not request.reads:
                    raise
                return html.see_other(f"{base}project?{urlencode({'next': _target(request)})}")
            except HTTPError as error:
                if error.status != 401 or not request.reads:
                    raise
                return self._log_in.form(request, base, _target(request))
            visit = Visit(request, caller, base, self._frame.words(request))
            with self._admitted():
                page = await self._page(visit, segments)
            if segments[:1] != ("account",):  # the account page needs no compute host
                self._answered(request)
            return page
        except (HTTPError, Refusal) as raised:
            shown = raised if isinstance(raised, HTTPError) else error_of(raised)
            self._frame.report(request, shown, raised.__cause__ or raised)
            return self._frame.problem(request, base, shown, visit)

    async def _page(self, visit: Visit, segments: tuple[str, ...]) -> Response:
        if not segments:
            return await self._list(visit)
        if segments == ("split",):
            return await self._split.answer(visit)
        if segments[0] == "account" and self._account:
            return await self._account.answer(visit, segments[1:])
        if segments[0] == "servers" and len(segments) in (2, 3):
            work = {(): self._server, ("open",): self._open, ("power",): self._change_power}.get(segments[2:])
            if work is not None:
                return await work(visit, segments[1])
        raise HTTPError(404, NOT_FOUND)

    async def _list(self, visit: Visit) -> Response:
        need(visit.request, "GET", "HEAD")
        filters, marker = Filters.read(visit.request), visit.request.parameter("marker")
        if marker is not None and not fields.is_uuid(marker):
            raise HTTPError(400, "The marker is not the id of a server.")
        try:
            page, more = await self._inventory.page(
                visit.caller,
                wanted=lambda instance: filters.match(row(instance, visit.caller)),
                marker=marker,
                limit=PAGE_SIZE,
            )
        except InstanceNotFound:
            raise HTTPError(404, "The page does not exist any more. Go back to the first one.") from None
        rows = [row(instance, visit.caller) for instance in page]
        following = page[-1].uuid if page and more else None
        table = views.server_list(visit.words, visit.base, rows, following, filters, visit.caller)
        return await self._frame.whole(visit, visit.words("Servers"), table, scripted=True)

    async def _server(self, visit: Visit, server_id: str) -> Response:
        need(visit.request, "GET", "HEAD")
        shown = row(await self._inventory.find(visit.caller, server_id), visit.caller)
        changes = not visit.caller.reads_only
        body = views.server(visit.words, visit.base, shown, changes=changes, admin=visit.caller.is_admin)
        return await self._frame.whole(visit, shown["name"], body, scripted=True)

    async def _open(self, visit: Visit, server_id: str) -> Response:
        need(visit.request, "POST")
        link = await self._links.make(visit.caller, server_id, LinkTerms(console_type=NOVNC))
        return html.see_other(link.url)

    async def _change_power(self, visit: Visit, server_id: str) -> Response:
        need(visit.request, "POST")
        name = fields_of(visit.request).get("action", "")
        action = views.ACTIONS.get(name)
        if action is None:
            raise HTTPError(400, "There is no such action.")
        await self._power.change(visit.caller, visit.request.client, server_id, action.action, name)
        return html.see_other(f"{visit.base}servers/{server_id}")


def _target(request: Request) -> str:
    """Return the path that the browser opens after the log-in or the choice of a project.

    It is the path and query of the request, or the list of servers if :func:`.local_path` refuses that path.
    """
    path = "/".join((request.prefix, *request.segments))
    query = f"?{urlencode(request.query, doseq=True)}" if request.query else ""
    return local_path((path if len(request.segments) > 1 else f"{path}/") + query, request.prefix)
