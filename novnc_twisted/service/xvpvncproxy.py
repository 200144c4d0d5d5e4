"""``twistd xvpvncproxy``: The XVP proxy."""

from novnc_twisted.service.command import command

Options, makeService = command("xvpvncproxy")
