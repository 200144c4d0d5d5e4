"""``twistd consolecompute``, which takes the place of nova-compute."""

from novnc_twisted.service.command import command

Options, makeService = command("consolecompute")
