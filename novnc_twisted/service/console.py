"""``twistd console``: All services in one process."""

from novnc_twisted.service.command import command

Options, makeService = command("console")
