"""The options of the configuration files, as ``--help`` shows them."""

import textwrap

from novnc_twisted.service.options import TABLE

RELOADED = "Reloaded by SIGHUP."
"""Stands behind the help of an option that a reload changes; the sample has a note of oslo.config instead."""


def describe(width: int) -> str:
    """Describe every option with its default.

    :param width: characters of a line.
    """
    lines = [
        "Options of the files, in nova.conf's format; what a command does not know it ignores.",
        "Without --config-file nothing is read and every option has its default.",
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
