"""What a VNC server says of itself: ``python who_is_there.py HOST:PORT [PASSWORD-FILE]``.

The RFB handshake of novnc_twisted.rfb on a plain blocking socket: it needs neither Twisted nor any other event loop.
"""

import socket
import sys
from pathlib import Path

from novnc_twisted.rfb import Conversation, ServerInit, login


def look(host: str, port: int, password: str | None = None, timeout: float = 10.0) -> ServerInit:
    """Log in and read the screen's size and name.

    :param timeout: seconds for each answer of the server.
    :raises novnc_twisted.errors.ConsoleUnreachable: if it is no VNC server, or refuses us; the detail says why.
    :raises OSError: if it can't be reached.
    """
    with socket.create_connection((host, port), timeout) as connection:
        conversation = Conversation(login())
        conversation.start()
        while not conversation.done:
            if conversation.asks:  # the server wants the password
                conversation.answer(password)
            connection.sendall(conversation.to_send())
            if not conversation.done and not conversation.asks:
                data = connection.recv(4096)
                if not data:
                    raise ConnectionResetError(f"the server left; {conversation.waiting_for} was awaited")
                conversation.receive(data)
        if conversation.error:
            raise conversation.error
        assert conversation.result  # for the type checker: done, and no error
        return conversation.result


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or ":" not in sys.argv[1]:
        sys.exit("usage: python who_is_there.py HOST:PORT [PASSWORD-FILE]")
    host, _, port = sys.argv[1].rpartition(":")
    secret = Path(sys.argv[2]).read_text().strip() if len(sys.argv) == 3 else None
    screen = look(host, int(port), secret)
    print(f"{screen.width} x {screen.height}: {screen.name.decode(errors='replace')}")
