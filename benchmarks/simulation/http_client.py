"""A small HTTP/1.1 client for the generator: one persistent connection, one request at a time."""

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure


class Connection(Protocol):
    """The connection.  A request fails with ConnectionError if the connection ends."""

    def __init__(self, port: int) -> None:
        self._host = f"127.0.0.1:{port}"
        self._data = bytearray()
        self._waiting: Deferred[tuple[int, Any]] | None = None

    @classmethod
    async def open(cls, reactor: Any, port: int) -> "Connection":
        """Connect to a port of this machine."""
        connection: Connection = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), cls(port))
        return connection

    def ask(self, method: str, path: str, body: Any = None) -> "Deferred[tuple[int, Any]]":
        """Send a request; fires with the status and the decoded body."""
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nX-OpenStack-Nova-API-Version: 2.6\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        if self.transport is None:
            raise ConnectionError("not connected")
        self._waiting = Deferred()
        self.transport.write(head.encode() + data)
        return self._waiting

    def dataReceived(self, data: bytes) -> None:
        """Collect a response."""
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        lines = bytes(head).decode().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if len(body) < int(fields.get("content-length", 0)) or self._waiting is None:
            return
        self._data.clear()
        waiting, self._waiting = self._waiting, None
        waiting.callback((int(lines[0].split()[1]), json.loads(bytes(body)) if body else None))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail the request."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.errback(ConnectionError(str(reason.value)))
