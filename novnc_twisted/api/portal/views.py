"""What the pages show."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from novnc_twisted.api.portal.html import Markup, tag
from novnc_twisted.contract import power
from novnc_twisted.identity.users import Caller


class Action(NamedTuple):
    """A power action as the page of a server offers it.

    :ivar action: one of :data:`novnc_twisted.contract.power.ACTIONS`.
    :ivar states: nova's statuses in which it is offered.
    :ivar consequence: what it does, in words.
    """

    action: str
    label: str
    states: tuple[str, ...]
    consequence: str


ACTIONS: Final[Mapping[str, Action]] = MappingProxyType(
    {
        "os-start": Action(power.START, "Start", ("SHUTOFF",), "The server is started."),
        "resume": Action(power.RESUME, "Resume", ("SUSPENDED",), "The server goes on where it was suspended."),
        "unpause": Action(power.UNPAUSE, "Continue", ("PAUSED",), "The server goes on where it was paused."),
        "os-stop": Action(
            power.STOP, "Shut down", ("ACTIVE",), "The guest is asked to shut down. After a minute it is switched off."
        ),
        "reboot-soft": Action(power.REBOOT, "Reboot", ("ACTIVE",), "The guest is asked to reboot."),
        "reboot-hard": Action(
            power.RESET,
            "Reset",
            ("ACTIVE", "PAUSED", "ERROR"),
            "As the reset button: unsaved data of the guest is lost.",
        ),
        "pause": Action(power.PAUSE, "Pause", ("ACTIVE",), "The guest stops at once and keeps its memory in the host."),
        "suspend": Action(
            power.SUSPEND, "Suspend", ("ACTIVE",), "The guest's memory is saved to disk, and the server stops."
        ),
    }
)
"""The power actions by their names in forms."""

STATES: Final = {
    "ACTIVE": "Running",
    "SHUTOFF": "Off",
    "PAUSED": "Paused",
    "SUSPENDED": "Suspended",
    "ERROR": "Crashed",
}


def state(status: str) -> str:
    """Return a state in words."""
    return STATES.get(status, "Unknown")


def header(base: str, caller: Caller, *, can_log_out: bool) -> Markup:
    """The top of every page of a user."""
    who = f"{caller.user}, administrator" if caller.is_admin else f"{caller.user}, project {caller.project or 'none'}"
    out = [
        tag("form", tag("button", "Log out", type="submit"), method="post", action=f"{base}logout"),
        tag(
            "form", tag("button", "Log out everywhere", type="submit"), method="post", action=f"{base}logout/everywhere"
        ),
    ]
    return tag(
        "header",
        tag("a", "Consoles", href=base, class_="home"),
        tag("p", who, class_="who"),
        *(out if can_log_out else []),
    )


def log_in(base: str, wanted: str, problem: str = "") -> Markup:
    """The form of the log-in."""
    alert = [tag("p", problem, role="alert")] if problem else []
    return tag(
        "main",
        tag("h1", "Log in"),
        *alert,
        tag(
            "form",
            tag("label", "User", tag("input", name="user", autocomplete="username", required=True, autofocus=True)),
            tag(
                "label",
                "Password",
                tag("input", name="password", type="password", autocomplete="current-password", required=True),
            ),
            tag("label", "Project (administrators only)", tag("input", name="project", autocomplete="organization")),
            tag("input", type="hidden", name="next", value=wanted),
            tag("button", "Log in", type="submit"),
            method="post",
            action=f"{base}login",
        ),
        class_="login",
    )


def server_list(base: str, rows: Sequence[dict[str, Any]], following: str | None, name: str, *, admin: bool) -> Markup:
    """The table of servers.  The script of the list puts tiles in its place."""
    columns = ["Server", "State", "Project", *(["Host"] if admin else []), "Console"]
    body = [_row(base, row, admin=admin) for row in rows]
    search = tag(
        "form",
        tag("label", "Search", tag("input", name="name", type="search", value=name)),
        tag("button", "Search", type="submit"),
        role="search",
        method="get",
        action=base,
    )
    empty = tag("p", "No server matches." if name else "There are no servers that you may see.", class_="empty")
    table = tag(
        "table",
        tag("thead", tag("tr", *(tag("th", column, scope="col") for column in columns))),
        tag("tbody", *body),
        id="servers",
    )
    query = f"?marker={following}" + (f"&name={quote(name)}" if name else "")
    more = [tag("p", tag("a", "More servers", href=f"{base}{query}"), class_="more")] if following else []
    return tag("main", tag("h1", "Servers"), search, table if rows else empty, *more, id="list")


def _row(base: str, row: dict[str, Any], *, admin: bool) -> Markup:
    cells = [
        tag("th", tag("a", row["name"], href=f"{base}servers/{row['id']}"), scope="row"),
        tag("td", state(row["status"])),
        tag("td", row["project"] or ""),
    ]
    if admin:
        cells.append(tag("td", row["host"] or ""))
    return tag("tr", *cells, tag("td", open_form(base, row)))


def open_form(base: str, row: dict[str, Any]) -> Markup:
    """The button that opens a console; none for a server that does not run."""
    if row["status"] not in ("ACTIVE", "PAUSED"):
        return Markup("")
    whose = tag("span", f" of {row['name']}", class_="hidden")
    button = tag("button", "Open console", whose, type="submit", class_="main")
    return tag("form", button, method="post", action=f"{base}servers/{row['id']}/open")


def server(base: str, row: dict[str, Any], *, changes: bool, admin: bool) -> Markup:
    """The page of one server."""
    facts = [("State", state(row["status"])), ("Project", row["project"] or "none"), ("ID", row["id"])]
    if admin:
        facts.insert(2, ("Host", row["host"] or ""))
    actions = [
        tag(
            "form",
            tag("button", offered.label, type="submit", name="action", value=name),
            tag("p", offered.consequence),
            method="post",
            action=f"{base}servers/{row['id']}/power",
        )
        for name, offered in ACTIONS.items()
        if row["status"] in offered.states
    ]
    return tag(
        "main",
        tag("h1", row["name"]),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts)),
        open_form(base, row) if changes else "",
        tag("section", tag("h2", "Power"), *actions, class_="power") if changes and actions else "",
        tag("p", tag("a", "All servers", href=base)),
        class_="server",
        data_id=row["id"],
    )


def message(title: str, sentence: str, base: str) -> Markup:
    """A page that says why something was not done."""
    return tag("main", tag("h1", title), tag("p", sentence, role="alert"), tag("p", tag("a", "All servers", href=base)))
