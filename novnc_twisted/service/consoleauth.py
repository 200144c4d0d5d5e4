"""``twistd consoleauth``: nova-consoleauth."""

from novnc_twisted.service.command import command

Options, makeService = command("consoleauth")
