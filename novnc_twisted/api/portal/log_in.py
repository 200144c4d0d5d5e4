"""The pages that log a browser in and out, and the page on which a user chooses a project."""

from novnc_twisted.api.errors import error_of
from novnc_twisted.api.portal import html, log_in_views
from novnc_twisted.api.portal.forms import fields_of, local_path, need
from novnc_twisted.api.portal.frame import Frame
from novnc_twisted.errors import Refusal
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import NOT_FOUND
from novnc_twisted.identity.api_tokens import APITokens
from novnc_twisted.identity.browser_login import IBrowserLogins, LogInFields, refuse_foreign


class LogInPages:
    """Answers ``login``, ``logout`` and ``project``.

    :param logins: None: there is no log-in, and every caller is an administrator (noauth).
    :param tokens: the API tokens of users, which a user may revoke at the log-out; None with noauth.
    """

    def __init__(self, logins: IBrowserLogins | None, tokens: APITokens | None, frame: Frame) -> None:
        self._logins = logins
        self._tokens = tokens
        self._frame = frame

    async def answer(self, request: Request, segments: tuple[str, ...], base: str) -> Response:
        """Answer a request, whether or not the browser is logged in.

        :param segments: the path segments after ``console``.
        :raises HTTPError: the request is refused.  The caller of this method returns a page that shows why.
        """
        if segments == ("project",) and self._logins is not None and self._logins.has_projects:
            return await self._project(self._logins, request, base)
        if segments in (("logout",), ("logout", "everywhere")):
            return await self._log_out(request, base, everywhere=len(segments) > 1)
        if segments != ("login",):
            raise HTTPError(404, NOT_FOUND)
        if request.reads:
            return self.form(request, base, local_path(request.parameter("next") or "", request.prefix))
        need(request, "POST")
        refuse_foreign(request)
        if self._logins is None:
            raise HTTPError(403, "There is no log-in here: [api] auth_strategy is noauth.")
        given = fields_of(request)
        wanted = local_path(given.get("next", ""), request.prefix)
        try:
            header = await self._logins.log_in(request, LogInFields.read(given))
        except (HTTPError, Refusal) as raised:
            error = raised if isinstance(raised, HTTPError) else error_of(raised)
            self._frame.report(request, error, raised.__cause__ or raised)
            return self.form(request, base, wanted, error, LogInFields.read(given))
        return html.see_other(wanted, header)

    def form(
        self,
        request: Request,
        base: str,
        wanted: str,
        error: HTTPError | None = None,
        given: LogInFields | None = None,
    ) -> Response:
        """Return the log-in form; with noauth, a redirect to ``wanted``.

        :param wanted: the path that the browser opens after the log-in.
        :param error: why the previous attempt failed.
        :param given: the fields of the previous attempt; the form shows them again, except the password.
        """
        if self._logins is None:
            return html.see_other(wanted)
        words = self._frame.words(request)
        problem = words.sentence(error.message) if error else ""
        body = log_in_views.form(words, base, wanted, problem, given, domains=self._logins.has_projects)
        page = self._frame.bare(request, "Log in", body, status=error.status if error else 200)
        return page.with_headers(*(error.headers if error else ()))

    async def _log_out(self, request: Request, base: str, *, everywhere: bool) -> Response:
        """Log out this browser or, with ``everywhere``, all browsers of the user."""
        need(request, "POST")
        refuse_foreign(request)
        if self._logins is None:
            raise HTTPError(404, NOT_FOUND)
        if everywhere:
            await self._end_everywhere(self._logins, request)
        return html.see_other(f"{base}login", await self._logins.end(request))

    async def _end_everywhere(self, logins: IBrowserLogins, request: Request) -> None:
        user = await logins.user_of(request)
        if user is None:
            return
        # Revoke the user's API tokens if the form asks for it.  With a Keystone, each API token has an application
        # credential there, which can be deleted only while the user is logged in.  So this comes first.
        if self._tokens is not None and request.body and "tokens" in fields_of(request):
            await self._tokens.revoke_all(request, user)
        await logins.end_everywhere(user)

    async def _project(self, logins: IBrowserLogins, request: Request, base: str) -> Response:
        """Show the projects, or choose one of them.  If the log-in has ended, return the log-in form."""
        wanted = local_path(request.parameter("next") or "", request.prefix)
        if request.reads:
            choice = await logins.projects(request)
            if choice is None:
                return self.form(request, base, wanted)
            words = self._frame.words(request)
            return self._frame.bare(request, "Choose a project", log_in_views.projects(words, base, wanted, choice))
        need(request, "POST")
        refuse_foreign(request)
        given = fields_of(request)
        wanted = local_path(given.get("next", ""), request.prefix)
        if not await logins.choose(request, given.get("project", "")):
            return self.form(request, base, wanted)
        return html.see_other(wanted)
