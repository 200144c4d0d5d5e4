"""Scripts of good viewers over WebSocket or CONNECT, and parts for those of hostile ones."""

from tests.session.harness import HANDSHAKE, TOKEN, frame
from tests.support.script import Receive, ReceiveUntil, Script, Send

NAME = b"myserver20"
"""The VM's name, which the proxy sends instead of the VNC server's."""

KEY = b"\4\1\0\0\0\0\0A"
MESSAGES = b"\2\0\0\1\0\0\0\0" + b"\3\0\0\0\0\0\0\x40\0\x30" + KEY + b"\5\1\0\7\0\7"
"""SetEncodings, FramebufferUpdateRequest, KeyEvent, PointerEvent."""


class NoVNC:
    """What a browser sends."""

    name, console_type = "novnc", "novnc"
    welcome: Script = ()
    bye: Script = (Send(frame(8, b"\x03\xe8")),)

    @staticmethod
    def head(token: str = TOKEN) -> bytes:
        return HANDSHAKE.format(path=f"/?token={token}" if token else "/", more="").encode()

    def open(self, token: str = TOKEN) -> Script:
        return Send(self.head(token)), ReceiveUntil(b"\r\n\r\n")

    @staticmethod
    def message(data: bytes) -> bytes:
        return frame(2, data)

    @staticmethod
    def receive(count: int) -> Receive:
        return Receive(count + (2 if count < 126 else 4))


class XVP:
    """What the Java viewer sends."""

    name, console_type = "xvp", "xvpvnc"
    welcome: Script = (ReceiveUntil(b"\r\n\r\n"),)
    bye: Script = ()

    @staticmethod
    def head(token: str = TOKEN) -> bytes:
        return f"CONNECT /console{token and f'?token={token}'} HTTP/1.0\r\n\r\n".encode()

    def open(self, token: str = TOKEN) -> Script:
        return (Send(self.head(token)),)

    @staticmethod
    def message(data: bytes) -> bytes:
        return data

    @staticmethod
    def receive(count: int) -> Receive:
        return Receive(count)


Dialect = NoVNC | XVP
NOVNC, XVPVNC = NoVNC(), XVP()
FRONTS: tuple[Dialect, ...] = (NOVNC, XVPVNC)


def introduced(by: Dialect, token: str = TOKEN, name: bytes = NAME) -> Script:
    """The script of a good viewer up to ServerInit."""
    return (
        *by.open(token),
        *by.welcome,
        by.receive(12),
        Send(by.message(b"RFB 003.008\n")),
        by.receive(2),
        Send(by.message(b"\1")),
        by.receive(4),
        Send(by.message(b"\1")),
        by.receive(24 + len(name)),
    )


def ahead(by: Dialect, token: str = TOKEN) -> Script:
    """Everything that a viewer sends, in one piece, without waiting for any reply."""
    return (Send(by.head(token) + by.message(b"RFB 003.008\n\1\1" + MESSAGES)),)
