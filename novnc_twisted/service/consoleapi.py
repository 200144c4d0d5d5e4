"""``twistd consoleapi``: nova-api."""

from novnc_twisted.service.command import command

Options, makeService = command("consoleapi")
