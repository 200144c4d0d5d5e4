"""A session on a machine that has only Python: ``session.py server PORT`` and ``session.py viewer PORT TOKEN FILE``.

The server is a minimal VNC server.  The viewer opens a console at a noVNC proxy, requests one update after the other,
and writes into FILE how many it has received.
"""

import socket
import sys
from pathlib import Path

INIT = b"\0\x01\0\x01" + b"\x20\x18\0\x01\0\xff\0\xff\0\xff\x10\x08\0\0\0\0" + b"\0\0\0\x02vm"
"""ServerInit: one pixel (RFC 6143, section 7.3.2)."""

REQUEST = b"\x03\x01\0\0\0\0\0\x01\0\x01"
"""FramebufferUpdateRequest."""

UPDATE = b"\0\0\0\0"
"""FramebufferUpdate without a rectangle."""

HEAD = "GET /websockify?token={} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + (
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: binary\r\n\r\n"
)


def serve(port: int) -> None:
    """Serve one viewer."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        connection = listener.accept()[0]
        stream = connection.makefile("rb")
        connection.sendall(b"RFB 003.008\n")
        stream.read(12)
        connection.sendall(b"\x01\x01")
        stream.read(1)
        connection.sendall(b"\0\0\0\0")
        stream.read(1)
        connection.sendall(INIT)
        while stream.read(len(REQUEST)) == REQUEST:
            connection.sendall(UPDATE)


class Viewer:
    """A viewer with an open console."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port))
        self._stream = self._connection.makefile("rb")
        self._received = b""
        self._connection.sendall(HEAD.format(token, port).encode())
        while self._stream.readline() != b"\r\n":
            pass
        for size, answer in ((12, b"RFB 003.008\n"), (2, b"\x01"), (4, b"\x01"), (len(INIT), b"")):
            self.read(size)
            self.send(answer)

    def send(self, data: bytes) -> None:
        """Send a frame, unless ``data`` is empty."""
        if data:
            self._connection.sendall(bytes([0x82, 0x80 | len(data), 0, 0, 0, 0]) + data)

    def read(self, size: int) -> bytes:
        """Read this many bytes of the frames.

        :raises ConnectionError: the connection was closed.
        """
        while len(self._received) < size:
            head = self._stream.read(2)
            if head[:1] != b"\x82":
                raise ConnectionError(repr(head))
            self._received += self._stream.read(head[1])
        found, self._received = self._received[:size], self._received[size:]
        return found


def view(port: int, token: str, file: Path) -> None:
    """Request updates until the connection is closed."""
    viewer = Viewer(port, token)
    count = 0
    while True:
        viewer.send(REQUEST)
        viewer.read(len(UPDATE))
        count += 1
        file.write_text(str(count))


if __name__ == "__main__":
    role, where, *more = sys.argv[1:]
    if role == "server":
        serve(int(where))
    else:
        view(int(where), more[0], Path(more[1]))
