"""``twistd consolecompute``: nova-compute."""

from novnc_twisted.service.command import command

Options, makeService = command("consolecompute")
