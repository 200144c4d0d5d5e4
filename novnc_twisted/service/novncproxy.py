"""``twistd novncproxy``: The noVNC proxy."""

from novnc_twisted.service.command import command

Options, makeService = command("novncproxy")
