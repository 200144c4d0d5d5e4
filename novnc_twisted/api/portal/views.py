"""HTML of the list of servers, of a server's page and of messages.

The parameter ``t`` translates into the reader's language.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from novnc_twisted.api.portal.filters import Filters
from novnc_twisted.api.portal.html import Markup, tag
from novnc_twisted.api.portal.words import Words
from novnc_twisted.contract import power
from novnc_twisted.identity.users import Caller


class Action(NamedTuple):
    """A power action, as a button on the page of a server.

    :ivar action: one of :data:`novnc_twisted.contract.power.ACTIONS`.
    :ivar label: the text of the button.
    :ivar states: the page shows the button if nova's status of the server is one of these.
    :ivar consequence: a sentence that says what the action does.
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
            power.STOP,
            "Shut down",
            ("ACTIVE",),
            "The guest is asked to shut down. If it takes too long, it may be switched off.",
        ),
        "reboot-soft": Action(power.REBOOT, "Reboot", ("ACTIVE",), "The guest is asked to reboot."),
        "reboot-hard": Action(
            power.RESET,
            "Reset",
            ("ACTIVE", "PAUSED", "ERROR"),
            "Like the reset button of a computer: unsaved data of the guest is lost.",
        ),
        "pause": Action(power.PAUSE, "Pause", ("ACTIVE",), "The guest stops at once and keeps its memory in the host."),
        "suspend": Action(
            power.SUSPEND, "Suspend", ("ACTIVE",), "The guest's memory is saved to disk, and the server stops."
        ),
    }
)
"""The power actions, by their names in forms."""

STATES: Final = {
    "ACTIVE": "Running",
    "SHUTOFF": "Off",
    "PAUSED": "Paused",
    "SUSPENDED": "Suspended",
    "ERROR": "Crashed",
}
"""nova's status -> word for users."""


def state(t: Words, status: str) -> str:
    """Return nova's status as a word for users."""
    return t(STATES.get(status, "Unknown"))


def header(t: Words, base: str, caller: Caller, *, can_log_out: bool, switches: bool) -> Markup:
    """Return the header of a page.

    It names the user, and also names the project or says that the user is an administrator.

    :param can_log_out: whether to show what only a user with a log-in needs: the account, the choice of another
        project, and the button to log out.
    :param switches: whether the user may choose another project.  If so, the header names the project even if the user
        is an administrator.
    """
    user, project = caller.name or caller.user, caller.project_name or caller.project
    if caller.is_admin and not switches:
        who = t("{user}, administrator", user=user)
    else:
        who = t("{user}, project {project}", user=user, project=project or t("none"))
    change = [tag("a", t("Other project"), href=f"{base}project")] if switches else []
    out = [
        *change,
        tag("a", t("Account"), href=f"{base}account"),
        tag("form", tag("button", t("Log out"), type="submit"), method="post", action=f"{base}logout"),
    ]
    return tag(
        "header",
        tag("a", t("Consoles"), href=base, class_="home"),
        tag("p", who, class_="who"),
        *(out if can_log_out else []),
    )


def server_list(
    t: Words, base: str, rows: Sequence[dict[str, Any]], following: str | None, filters: Filters, caller: Caller
) -> Markup:
    """Return the list of servers as a table.  In the browser, the script of the list replaces the table with tiles.

    :param following: the marker of the next page; None: this is the last page.
    """
    admin, changes = caller.is_admin, not caller.reads_only
    columns = ["Server", "State", "Project", *(["Host"] if admin else []), *(["Console"] if changes else [])]
    body = [_row(t, base, row, admin=admin, changes=changes) for row in rows]
    none = "No server matches." if any(filters) else "There are no servers that you may see."
    empty = tag("p", t(none), class_="empty")
    table = tag(
        "table",
        tag("thead", tag("tr", *(tag("th", t(column), scope="col") for column in columns))),
        tag("tbody", *body),
        id="servers",
    )
    more = []
    if following:
        address = f"{base}?{filters.query(marker=following)}"
        more.append(tag("p", tag("a", t("More servers"), href=address), class_="more"))
    search = _search(t, base, filters, admin=admin)
    return tag(
        "main", tag("h1", t("Servers")), search, table if rows else empty, *more, id="list", data_reads_only=not changes
    )


def _search(t: Words, base: str, filters: Filters, *, admin: bool) -> Markup:
    """Return the form with the filters."""
    chosen = filters.state
    options = [
        tag("option", state(t, status) if status else t("All"), value=status, selected=status == chosen)
        for status in dict.fromkeys(("", *STATES, chosen))
    ]
    # Only administrators see the hosts of servers, and servers of several projects.  Other users get the project
    # field or the host field only if the URL sets that filter.
    fields = {"Project": filters.project, "Host": filters.host}
    texts = [
        tag("label", t(label), tag("input", name=label.lower(), value=value))
        for label, value in fields.items()
        if admin or value
    ]
    return tag(
        "form",
        tag("label", t("Search"), tag("input", name="name", type="search", value=filters.name)),
        tag("label", t("State"), tag("select", *options, name="state")),
        *texts,
        tag("button", t("Search"), type="submit"),
        role="search",
        method="get",
        action=base,
    )


def _row(t: Words, base: str, row: dict[str, Any], *, admin: bool, changes: bool) -> Markup:
    cells = [
        tag("th", tag("a", row["name"], href=f"{base}servers/{row['id']}"), scope="row"),
        tag("td", state(t, row["status"])),
        tag("td", row["project"] or ""),
    ]
    if admin:
        cells.append(tag("td", row["host"] or ""))
    if changes:
        cells.append(tag("td", open_form(t, base, row)))
    # The script of the list makes the first tiles from these attributes, before it has read the servers from the API.
    known = {f"data_{name}": row[name] for name in ("id", "status", "project", "host")}
    return tag("tr", *cells, **known)


def open_form(t: Words, base: str, row: dict[str, Any]) -> Markup:
    """Return the button that opens a console, if the server runs or is paused; else an empty text."""
    if row["status"] not in ("ACTIVE", "PAUSED"):
        return Markup("")
    whose = tag("span", f" · {row['name']}", class_="hidden")
    button = tag("button", t("Open console"), whose, type="submit", class_="main")
    return tag("form", button, method="post", action=f"{base}servers/{row['id']}/open")


def server(t: Words, base: str, row: dict[str, Any], *, changes: bool, admin: bool) -> Markup:
    """Return the page of one server.

    :param changes: whether the user may open the console and change the power.
    """
    facts = [("State", state(t, row["status"])), ("Project", row["project"] or t("none")), ("ID", row["id"])]
    if admin:
        facts.insert(2, ("Host", row["host"] or ""))
    actions = [
        tag(
            "form",
            tag("button", t(offered.label), type="submit", name="action", value=name),
            tag("p", t(offered.consequence)),
            method="post",
            action=f"{base}servers/{row['id']}/power",
        )
        for name, offered in ACTIONS.items()
        if row["status"] in offered.states
    ]
    return tag(
        "main",
        tag("h1", row["name"]),
        tag("dl", *(tag("div", tag("dt", t(name)), tag("dd", value)) for name, value in facts)),
        open_form(t, base, row) if changes else "",
        tag("section", tag("h2", t("Power")), *actions, class_="power") if changes and actions else "",
        tag("p", tag("a", t("All servers"), href=base)),
        class_="server",
        data_id=row["id"],
    )


def message(t: Words, title: str, sentence: str, base: str, *, project: bool = False) -> Markup:
    """Return a page that says why something was not done.

    :param project: whether to offer the choice of another project.
    """
    other = [tag("p", tag("a", t("Other project"), href=f"{base}project"))] if project else []
    back = tag("p", tag("a", t("All servers"), href=base))
    return tag("main", tag("h1", title), tag("p", sentence, role="alert"), *other, back)
