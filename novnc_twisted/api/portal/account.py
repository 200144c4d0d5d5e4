"""The account page of a user: API tokens, and a button that logs out all browsers."""

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from novnc_twisted.api.portal import html
from novnc_twisted.api.portal.forms import fields_of, need
from novnc_twisted.api.portal.frame import Frame, Visit
from novnc_twisted.api.portal.html import Markup, tag
from novnc_twisted.api.portal.words import Words
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import NOT_FOUND
from novnc_twisted.identity.api_token_records import CONTROL, MAX_NAME, READ, APIToken
from novnc_twisted.identity.api_tokens import APITokens

LIVES: Final = MappingProxyType({"1": "1 day", "7": "7 days", "30": "30 days", "90": "90 days", "365": "1 year"})
"""Lifetimes that the form offers for a new token: number of days -> label."""

_ENDS_ALL: Final = "This ends the log-ins of all your browsers."


class AccountPage:
    """Answers requests for ``account`` and its forms."""

    def __init__(self, tokens: APITokens, frame: Frame) -> None:
        self._tokens = tokens
        self._frame = frame

    async def answer(self, visit: Visit, segments: tuple[str, ...]) -> Response:
        """Answer a request.

        :param segments: the path segments after ``account``.
        :raises HTTPError: the request is refused; a page shows why.
        """
        if segments in (("tokens",), ("revoke",)):
            need(visit.request, "POST")
            return await (self._make(visit) if segments == ("tokens",) else self._revoke(visit))
        if segments:
            raise HTTPError(404, NOT_FOUND)
        need(visit.request, "GET", "HEAD")
        return await self._show(visit)

    async def _show(self, visit: Visit, made: str = "") -> Response:
        tokens = await self._tokens.list(visit.caller.user)
        body = _page(visit.words, visit.base, tokens, made, changes=not visit.caller.reads_only)
        return await self._frame.whole(visit, visit.words("Account"), body)

    async def _make(self, visit: Visit) -> Response:
        form = fields_of(visit.request)
        days = form.get("days", "")
        right = CONTROL if form.get("right") == CONTROL else READ
        seconds = float(days if days in LIVES else "30") * 24 * 3600
        _, text = await self._tokens.make(
            visit.request, visit.caller, name=form.get("name", "").strip(), right=right, seconds=seconds
        )
        # Not a redirect: its URL would contain the token, and the browser keeps URLs in its history.
        return await self._show(visit, text)

    async def _revoke(self, visit: Visit) -> Response:
        if not await self._tokens.revoke(visit.request, visit.caller, fields_of(visit.request).get("id", "")):
            raise HTTPError(404, "There is no such API token.")
        return html.see_other(f"{visit.base}account")


def _page(t: Words, base: str, tokens: list[APIToken], made: str, *, changes: bool) -> Markup:
    about = t(
        "Scripts send an API token instead of a password, in the header X-Auth-Token or as Authorization: Bearer. "
        "It never gives more rights than you have."
    )
    leave = tag(
        "form",
        tag("label", tag("input", type="checkbox", name="tokens", value="yes"), t("Also revoke my API tokens")),
        tag("button", t("Log out everywhere"), type="submit"),
        method="post",
        action=f"{base}logout/everywhere",
    )
    return tag(
        "main",
        tag("h1", t("Account")),
        tag("section", tag("h2", t("API tokens")), tag("p", about), _made(t, made), _table(t, base, tokens, changes)),
        _form(t, base) if changes else "",
        tag(
            "section",
            tag("h2", t("Log out everywhere")),
            tag("p", t(_ENDS_ALL)),
            leave,
        ),
        tag("p", tag("a", t("All servers"), href=base)),
        class_="account",
    )


def _made(t: Words, made: str) -> Markup:
    if not made:
        return Markup("")
    field = tag("input", class_="made", readonly=True, value=made, autofocus=True, spellcheck="false")
    hint = tag("p", t("Copy the token now. It is not shown again."), role="status")
    return tag("div", tag("label", t("The new token"), field), hint, class_="new")


def _table(t: Words, base: str, tokens: list[APIToken], changes: bool) -> Markup:
    if not tokens:
        return tag("p", t("You have no API tokens."), class_="empty")
    columns = ("Name", "Right", "Project", "Valid until", "Last used", *(["Revoke"] if changes else []))
    rows = [
        tag(
            "tr",
            tag("th", token.name, scope="row"),
            tag("td", t("Control" if token.right == CONTROL else "Read")),
            tag("td", token.project or t("none")),
            tag("td", _time(token.expires_at)),
            tag("td", t("never") if token.used_at is None else _time(token.used_at)),
            tag("td", _revoke_form(t, base, token)) if changes else "",
        )
        for token in tokens
    ]
    head = tag("thead", tag("tr", *(tag("th", t(column), scope="col") for column in columns)))
    return tag("div", tag("table", head, tag("tbody", *rows)), class_="wide")


def _revoke_form(t: Words, base: str, token: APIToken) -> Markup:
    button = tag("button", t("Revoke"), tag("span", f" · {token.name}", class_="hidden"), type="submit")
    hidden = tag("input", type="hidden", name="id", value=token.id)
    return tag("form", hidden, button, method="post", action=f"{base}account/revoke")


def _form(t: Words, base: str) -> Markup:
    name = tag("input", name="name", required=True, maxlength=str(MAX_NAME), autocomplete="off")
    rights = [
        tag("option", t("Read: list servers and sessions"), value=READ),
        tag("option", t("Control: all that you may do"), value=CONTROL),
    ]
    lives = [tag("option", t(words), value=days, selected=days == "30") for days, words in LIVES.items()]
    return tag(
        "form",
        tag("label", t("Name"), name),
        tag("label", t("Right"), tag("select", *rights, name="right")),
        tag("label", t("Valid for"), tag("select", *lives, name="days")),
        tag("button", t("Make a token"), type="submit", class_="main"),
        method="post",
        action=f"{base}account/tokens",
        class_="make",
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
