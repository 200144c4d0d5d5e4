"""Describes the options of the configuration files for ``--help``."""

import textwrap

from novnc_twisted.service.options.table import TABLE

RELOADED = "Reloaded by SIGHUP."
"""Added to the help of an option that a reload changes.  In the sample, oslo.config adds its own note instead."""


def describe(width: int) -> str:
    """Describe every option with its default.

    :param width: characters of a line.
    """
    lines = [
        "Options of the configuration files, in nova.conf's format. A command ignores options that it does not know.",
        "Without --config-file, no file is read and every option has its default.",
    ]
    for group, options in TABLE.items():
        lines += ["", f"[{group}]"]
        for option in options:
            default = option.sample_default if option.sample_default is not None else option.default
            shown = ",".join(default) if isinstance(default, list) else "" if default is None else str(default)
            lines.append(f"{option.name} = {shown}".rstrip())
            text = f"{option.help} {RELOADED}" if option.mutable else option.help or ""
            lines.append(textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    "))
    return "\n".join(lines)
