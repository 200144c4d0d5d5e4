"""``internal_access_path``: a CONNECT request to the VNC server before RFB begins (nova's Xen consoles)."""

import re

from novnc_twisted.access.request_head import BadHead, HeadBuffer, read_status
from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.session.handshake_channel import HandshakeChannel

_PATH = re.compile(r"[!-~]{1,1024}")


async def request_access_path(channel: HandshakeChannel, path: str) -> None:
    """Request the console behind a path; bytes after the response stay in the channel.

    nova's old xvp proxy searched the first line of the response for "200", but misread the result: it accepted every
    line that did not begin with "200".  Here the status must be 200.

    :raises ConsoleUnreachable: the response has another status or is invalid; or the path is empty, is longer than 1024
        characters, or contains a space or a character that is not printable ASCII.
    """
    # A line break in the path would add header fields, or a second request.
    if _PATH.fullmatch(path) is None:
        raise ConsoleUnreachable(
            "internal_access_path is empty, is longer than 1024 characters, or contains characters that are not "
            "allowed in a request"
        )
    channel.end.write(f"CONNECT {path} HTTP/1.1\r\n\r\n".encode())
    buffer = HeadBuffer()
    try:
        while (head := buffer.receive(await channel.some())) is None:
            pass
        status = read_status(head)
    except BadHead as error:
        raise ConsoleUnreachable(f"the answer to CONNECT is not HTTP: {error}") from None
    if status != 200:
        raise ConsoleUnreachable(f"the answer to CONNECT for internal_access_path has status {status}, not 200")
    channel.put_back(buffer.rest)
