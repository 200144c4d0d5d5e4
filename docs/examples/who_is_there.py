"""Print the size and the name of a VNC server's screen: ``python who_is_there.py HOST:PORT [PASSWORD-FILE]``.

It runs the RFB handshake of novnc_twisted.rfb on a blocking socket, without Twisted or another event loop.
"""

import socket
import sys
from pathlib import Path

from novnc_twisted.rfb import HandshakeDriver, ServerInit, login


def look(host: str, port: int, password: str | None = None, timeout: float = 10.0) -> ServerInit:
    """Log in and read the screen's size and name.

    :param timeout: seconds for each answer of the server.
    :raises novnc_twisted.errors.ConsoleUnreachable: if it is not a VNC server, or refuses the log-in.
    :raises OSError: if it cannot be reached.
    """
    with socket.create_connection((host, port), timeout) as connection:
        driver = HandshakeDriver(login())
        driver.start()
        while not driver.done:
            if driver.asks:  # the server wants the password
                driver.answer(password)
            connection.sendall(driver.to_send())
            if not driver.done and not driver.asks:
                data = connection.recv(4096)
                if not data:
                    raise ConnectionResetError(f"the server left; {driver.waiting_for} was awaited")
                driver.receive(data)
        if driver.error:
            raise driver.error
        assert driver.result  # for the type checker: done, and no error
        return driver.result


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or ":" not in sys.argv[1]:
        sys.exit("usage: python who_is_there.py HOST:PORT [PASSWORD-FILE]")
    host, _, port = sys.argv[1].rpartition(":")
    secret = Path(sys.argv[2]).read_text().strip() if len(sys.argv) == 3 else None
    screen = look(host, int(port), secret)
    print(f"{screen.width} x {screen.height}: {screen.name.decode(errors='replace')}")
