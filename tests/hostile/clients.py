"""What viewers say, by WebSocket or CONNECT: good ones, and the parts of which hostile ones are made."""

from tests.session.harness import HANDSHAKE, TOKEN, frame
from tests.support.script import Hear, HearUntil, Say, Script

NAME = b"myserver20"
"""The VM's, which the proxy puts in the place of the VNC server's."""

KEY = b"\4\1\0\0\0\0\0A"
MESSAGES = b"\2\0\0\1\0\0\0\0" + b"\3\0\0\0\0\0\0\x40\0\x30" + KEY + b"\5\1\0\7\0\7"
"""SetEncodings, FramebufferUpdateRequest, a key, the mouse."""


class NoVNC:
    """A browser's."""

    name, console_type = "novnc", "novnc"
    welcome: Script = ()
    bye: Script = (Say(frame(8, b"\x03\xe8")),)

    @staticmethod
    def head(token: str = TOKEN) -> bytes:
        return HANDSHAKE.format(path=f"/?token={token}" if token else "/", more="").encode()

    def open(self, token: str = TOKEN) -> Script:
        return Say(self.head(token)), HearUntil(b"\r\n\r\n")

    @staticmethod
    def words(data: bytes) -> bytes:
        return frame(2, data)

    @staticmethod
    def hear(count: int) -> Hear:
        return Hear(count + (2 if count < 126 else 4))


class XVP:
    """The Java viewer's."""

    name, console_type = "xvp", "xvpvnc"
    welcome: Script = (HearUntil(b"\r\n\r\n"),)
    bye: Script = ()

    @staticmethod
    def head(token: str = TOKEN) -> bytes:
        return f"CONNECT /console{token and f'?token={token}'} HTTP/1.0\r\n\r\n".encode()

    def open(self, token: str = TOKEN) -> Script:
        return (Say(self.head(token)),)

    @staticmethod
    def words(data: bytes) -> bytes:
        return data

    @staticmethod
    def hear(count: int) -> Hear:
        return Hear(count)


Dialect = NoVNC | XVP
NOVNC, XVPVNC = NoVNC(), XVP()
FRONTS: tuple[Dialect, ...] = (NOVNC, XVPVNC)


def introduced(by: Dialect, token: str = TOKEN, name: bytes = NAME) -> Script:
    """A viewer's part up to ServerInit."""
    return (
        *by.open(token),
        *by.welcome,
        by.hear(12),
        Say(by.words(b"RFB 003.008\n")),
        by.hear(2),
        Say(by.words(b"\1")),
        by.hear(4),
        Say(by.words(b"\1")),
        by.hear(24 + len(name)),
    )


def ahead(by: Dialect, token: str = TOKEN) -> Script:
    """All that a viewer ever says, at once, without waiting for anything."""
    return (Say(by.head(token) + by.words(b"RFB 003.008\n\1\1" + MESSAGES)),)
