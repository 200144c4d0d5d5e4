"""``twistd consoleauth``, which takes the place of nova-consoleauth."""

from novnc_twisted.service.command import command

Options, makeService = command("consoleauth")
