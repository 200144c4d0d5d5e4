"""Checks for the backends ``nova`` and ``token_plugin``, which lack the functions of consoleauth."""

from collections.abc import Iterator
from typing import Any, Final

from novnc_twisted.service.configuration import Configuration
from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.nova_backend import uses_nova
from novnc_twisted.service.token_plugin_backend import uses_plugin

_RESTRICT: Final = ("one_time", "bind_address")
"""Options of [consoleauth] that restrict tokens.  If they were ignored, tokens would be less safe than expected."""

_UNUSED: Final = {
    "consoleauth": ("max_tokens_per_server", "max_tokens_per_user"),
    "console": (
        "max_sessions_per_user",
        "max_sessions_per_project",
        "max_sessions_per_address",
        "history_retention",
        "hide_administrators",
        "show_user_names",
        "sharing",
        "xvp",
    ),
}
"""Options that have an effect only with consoleauth, by their sections."""


def backend(command: str, conf: Any) -> str | None:
    """Return the name of the backend that replaces consoleauth in this command; None if consoleauth is used.

    :raises Unusable: the command cannot have this backend, or credentials are missing.
    """
    if uses_nova(command, conf):
        return "nova"
    return "token_plugin" if uses_plugin(command, conf) else None


def check(command: str, conf: Any) -> None:
    """Refuse options that restrict tokens, if there is no consoleauth to apply them.

    :raises Unusable: such an option is set; or as for :func:`backend`.
    """
    name = backend(command, conf)
    for option in _RESTRICT:
        if name is not None and conf.consoleauth[option]:
            raise Unusable(f"[consoleauth] {option}: it can't be used with backend {name}, only with consoleauth")


def unused(read: Configuration, command: str) -> Iterator[str]:
    """Yield warnings about options that have no effect, because another backend replaces consoleauth.

    There is a warning for each such option that a file sets to a value other than 0 or false.
    """
    try:
        name = backend(command, read.conf)
    except Unusable:
        return  # check() reports this as an error
    if name is None:
        return
    for section, options in _UNUSED.items():
        for option in options:
            if read.is_set(section, option) and read.conf[section][option]:
                yield f"[{section}] {option}: it is not used, because backend {name} works without consoleauth"
