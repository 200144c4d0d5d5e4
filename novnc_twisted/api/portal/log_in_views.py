"""HTML of the log-in form, and of the page on which a user chooses a project.

The parameter ``t`` translates into the reader's language.
"""

from novnc_twisted.api.portal.html import Markup, tag
from novnc_twisted.api.portal.words import Words
from novnc_twisted.identity.browser_login import LogInFields, Projects


def form(t: Words, base: str, wanted: str, problem: str, given: LogInFields | None, *, domains: bool) -> Markup:
    """Return the log-in form.

    :param domains: whether users belong to a domain and choose among projects, as in Keystone.
    """
    given = given or LogInFields()
    alert = [tag("p", problem, role="alert")] if problem else []
    name = tag("input", name="user", autocomplete="username", required=True, autofocus=not problem, value=given.user)
    secret = tag(
        "input",
        name="password",
        type="password",
        autocomplete="current-password",
        required=True,
        autofocus=bool(problem),
    )
    project = tag("input", name="project", autocomplete="organization", value=given.project)
    domain = tag("input", name="domain", required=True, autocapitalize="off", value=given.domain or "Default")
    return tag(
        "main",
        tag("h1", t("Log in")),
        *alert,
        tag(
            "form",
            tag("label", t("User"), name),
            tag("label", t("Password"), secret),
            *([tag("label", t("Domain"), domain)] if domains else []),
            tag("label", t("Project (optional)") if domains else t("Project (administrators only)"), project),
            tag("input", type="hidden", name="next", value=wanted),
            tag("button", t("Log in"), type="submit"),
            method="post",
            action=f"{base}login",
        ),
        class_="login",
    )


def projects(t: Words, base: str, wanted: str, choice: Projects) -> Markup:
    """Return a page with a button for each project of the user, and one to log out."""
    buttons = [
        tag(
            "form",
            tag("input", type="hidden", name="next", value=wanted),
            tag(
                "button",
                project.name,
                type="submit",
                name="project",
                value=project.id,
                aria_current="true" if project.id == choice.current else None,
            ),
            method="post",
            action=f"{base}project",
        )
        for project in choice.projects
    ]
    button = tag("button", t("Log out"), type="submit", class_="leave")
    leave = tag("form", button, method="post", action=f"{base}logout")
    nothing = tag("p", t("You have a role in no project. Ask your administrator for one."), role="alert")
    return tag(
        "main",
        tag("h1", t("Choose a project")),
        tag("div", *buttons, class_="projects") if buttons else nothing,
        leave,
        class_="login",
    )
