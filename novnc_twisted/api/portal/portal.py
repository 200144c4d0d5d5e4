"""The pages below ``/console/``: answers the request for a path, or a posted form, with a page or a redirect."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from novnc_twisted.api.console.servers import row
from novnc_twisted.api.errors import error_of
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.api.links import Links, LinkTerms
from novnc_twisted.api.portal import html, views
from novnc_twisted.api.portal.assets import Assets
from novnc_twisted.api.portal.forms import fields_of, local_path
from novnc_twisted.api.power import Power
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import NOVNC
from novnc_twisted.errors import InstanceNotFound, Refusal
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import NOT_FOUND
from novnc_twisted.identity.browser_login import BrowserLogins, refuse_foreign, token_of
from novnc_twisted.identity.strategy import IAuth
from novnc_twisted.identity.users import Caller, User

PAGE_SIZE: Final = 200
"""Servers in one table."""

_FOLDERS: Final = ("assets", "favicon.svg")


@dataclass(frozen=True, slots=True)
class _Visit:
    """A request of somebody who is logged in.

    :ivar base: the path of the list.
    """

    request: Request
    caller: Caller
    base: str


class Portal:
    """Answers the requests of browsers: the log-in, the list of servers, the page of a server, and their forms.

    :param auth: decides whether there is a log-in.
    :param power: begins power actions and reports them.
    :param admitted: counts a request in work, and refuses it under load; see :meth:`.ComputeAPI.admitted`.
    """

    def __init__(
        self,
        auth: IAuth,
        logins: BrowserLogins,
        inventory: Inventory,
        links: Links,
        power: Power,
        admitted: Callable[[], AbstractContextManager[None]],
        assets: Assets | None = None,
    ) -> None:
        self._auth = auth
        self._logins = logins
        self._inventory = inventory
        self._links = links
        self._power = power
        self._admitted = admitted
        self._assets = Assets() if assets is None else assets

    async def answer(
        self, request: Request, segments: tuple[str, ...], caller_of: Callable[[Request], Any]
    ) -> Response:
        """Return a page.

        :param segments: those of the path after ``console``.
        :param caller_of: ``async (request) -> Caller``; HTTPError 401 for somebody who is not logged in.
        """
        base = f"{request.prefix}/console/"
        if segments[:1] and segments[0] in _FOLDERS:
            _need(request, "GET", "HEAD")
            return self._assets.response(request, "/".join(segments))
        try:
            if segments == ("login",):
                return await self._log_in(request, base)
            try:
                caller = await caller_of(request)
            except HTTPError as error:
                if error.status != 401 or not request.reads:
                    raise
                return self._form(request, base, _target(request))
            with self._admitted():
                return await self._page(_Visit(request, caller, base), segments)
        except (HTTPError, Refusal) as raised:
            return self._problem(request, base, raised if isinstance(raised, HTTPError) else error_of(raised))

    # --- logging in and out

    @property
    def _has_log_in(self) -> bool:
        return self._auth.tokens and self._auth.own_identity

    async def _log_in(self, request: Request, base: str) -> Response:
        if request.reads:
            return self._form(request, base, local_path(request.parameter("next") or "", request.prefix))
        _need(request, "POST")
        refuse_foreign(request)
        if not self._has_log_in:
            raise HTTPError(403, "There is no log-in here: [api] auth_strategy is not http_basic.")
        form = fields_of(request)
        wanted = local_path(form.get("next", ""), request.prefix)
        try:
            user = await self._auth.log_in(form.get("user", ""), form.get("password", ""), request.client)
        except HTTPError as error:
            return self._form(request, base, wanted, error.message, error)
        project = form.get("project", "") or (user.project if user else None)
        if user is None or (project is not None and not user.may_scope_to(project)):
            return self._form(request, base, wanted, "The user, the password or the project is wrong.")
        return html.see_other(wanted, await self._logins.begin(request, user, project))

    def _form(
        self, request: Request, base: str, wanted: str, problem: str = "", error: HTTPError | None = None
    ) -> Response:
        if not self._has_log_in and self._auth.own_identity:
            return html.see_other(wanted)  # noauth: everybody who may come here is an administrator
        if not self._has_log_in:
            sentence = "This list has no log-in for users of a Keystone. Use your OpenStack's dashboard or client."
            return html.page(
                request,
                "Consoles",
                views.message("Not logged in", sentence, base),
                style=self._assets.style,
                status=401,
            )
        form = views.log_in(base, wanted, problem)
        status = error.status if error else 401 if problem else 200
        page = html.page(request, "Log in", form, style=self._assets.style, status=status)
        return page.with_headers(*(error.headers if error else ()))

    async def _log_out(self, visit: _Visit, segments: tuple[str, ...]) -> Response:
        _need(visit.request, "POST")
        if segments == ("everywhere",):
            await self._logins.end_everywhere(visit.caller.user)
        elif segments:
            raise HTTPError(404, NOT_FOUND)
        return html.see_other(f"{visit.base}login", self._logins.end(visit.request))

    # --- pages

    async def _page(self, visit: _Visit, segments: tuple[str, ...]) -> Response:
        if segments[:1] == ("logout",):
            return await self._log_out(visit, segments[1:])
        if not segments:
            return await self._list(visit)
        if segments[0] == "servers" and len(segments) in (2, 3):
            work = {(): self._server, ("open",): self._open, ("power",): self._change_power}.get(segments[2:])
            if work is not None:
                return await work(visit, segments[1])
        raise HTTPError(404, NOT_FOUND)

    async def _list(self, visit: _Visit) -> Response:
        _need(visit.request, "GET", "HEAD")
        name, marker = visit.request.parameter("name") or "", visit.request.parameter("marker")
        if marker is not None and not fields.is_uuid(marker):
            raise HTTPError(400, "The marker is not the id of a server.")
        try:
            page, more = await self._inventory.page(visit.caller, name=name, marker=marker, limit=PAGE_SIZE)
        except InstanceNotFound:
            raise HTTPError(404, "The page does not exist any more. Go back to the first one.") from None
        rows = [row(instance, visit.caller) for instance in page]
        following = page[-1].uuid if page and more else None
        table = views.server_list(visit.base, rows, following, name, admin=visit.caller.is_admin)
        return await self._whole(visit, "Servers", table, script=self._assets.script)

    async def _server(self, visit: _Visit, server_id: str) -> Response:
        _need(visit.request, "GET", "HEAD")
        shown = row(await self._inventory.find(visit.caller, server_id), visit.caller)
        changes = not visit.caller.reads_only
        body = views.server(visit.base, shown, changes=changes, admin=visit.caller.is_admin)
        return await self._whole(visit, shown["name"], body, script=self._assets.script)

    async def _open(self, visit: _Visit, server_id: str) -> Response:
        _need(visit.request, "POST")
        link = await self._links.make(visit.caller, server_id, LinkTerms(console_type=NOVNC))
        return html.see_other(link.url)

    async def _change_power(self, visit: _Visit, server_id: str) -> Response:
        _need(visit.request, "POST")
        name = fields_of(visit.request).get("action", "")
        action = views.ACTIONS.get(name)
        if action is None:
            raise HTTPError(400, "There is no such action.")
        await self._power.change(visit.caller, visit.request.client, server_id, action.action, name)
        return html.see_other(f"{visit.base}servers/{server_id}")

    async def _whole(self, visit: _Visit, title: str, body: html.Markup, *, script: str = "") -> Response:
        top = views.header(visit.base, visit.caller, can_log_out=token_of(visit.request) is not None)
        page = html.page(visit.request, title, top, body, script=script, style=self._assets.style)
        return page.with_headers(*await self._logins.renewal(visit.request, self._user))

    def _user(self, name: str) -> User | None:
        return self._auth.user(name)

    def _problem(self, request: Request, base: str, error: HTTPError) -> Response:
        title = "Not found" if error.status == 404 else "This did not work"
        body = views.message(title, error.message, base)
        page = html.page(request, title, body, style=self._assets.style, status=error.status)
        return page.with_headers(*error.headers)


def _need(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise HTTPError(405, "The method is not allowed.", (("Allow", ", ".join(methods)),))


def _target(request: Request) -> str:
    """Return the address that the browser opens after the log-in: that of the refused request, with its filters."""
    path = "/".join((request.prefix, *request.segments))
    query = f"?{urlencode(request.query, doseq=True)}" if request.query else ""
    return local_path((path if len(request.segments) > 1 else f"{path}/") + query, request.prefix)
