"""``twistd consoleapi``, which takes the place of nova-api."""

from novnc_twisted.service.command import command

Options, makeService = command("consoleapi")
