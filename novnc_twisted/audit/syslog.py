"""Sends the audit trail to syslog: messages of RFC 5424 to the socket of the local syslog daemon."""

import os
import socket
from typing import Final

DEV_LOG: Final = "/dev/log"
"""The socket of rsyslog, syslog-ng and systemd's journal."""

_AUTHPRIV: Final = 10
_INFO, _WARNING = 6, 4


class Syslog:
    """Sends entries to syslog, with the facility ``authpriv``.

    Sending never waits: if the daemon accepts no message now, sending fails with OSError.

    :ivar name: how log lines name the syslog daemon: the path of its socket.
    """

    def __init__(self, host: str, program: str, path: str = DEV_LOG) -> None:
        """Prepare; :meth:`open` connects.

        :param host: this machine's name, for the HOSTNAME of the messages.
        :param program: the name for the APP-NAME of the messages.
        :param path: the socket of the syslog daemon.
        """
        self.name = path
        self._path = path
        self._origin = f"{_field(host, 255)} {_field(program, 48)}"
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connect; close a previous connection first.

        :raises OSError: no daemon listens.
        """
        self.close()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            connection.setblocking(False)
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        self._socket = connection

    def close(self) -> None:
        """Disconnect."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def send(self, time: str, code: str, text: bytes, *, warning: bool) -> None:
        """Send a message (RFC 5424, section 6).

        :param time: the TIMESTAMP.
        :param code: the MSGID.
        :param text: the MSG, ASCII.
        :param warning: True: the severity is ``warning``; False: ``informational``.
        :raises OSError: the message was not sent.
        """
        priority = _AUTHPRIV * 8 + (_WARNING if warning else _INFO)
        # The PROCID is read for each message, because twistd may fork between __init__() and the first message.
        message = f"<{priority}>1 {time} {self._origin} {os.getpid()} {code} - ".encode("ascii") + text
        if self._socket is None:
            self.open()
        try:
            self._send(message)
        except ConnectionError:
            # The daemon was restarted and listens on a new socket.
            self.open()
            self._send(message)

    def _send(self, message: bytes) -> None:
        assert self._socket is not None
        self._socket.send(message)


def _field(text: str, limit: int) -> str:
    """Return a text as a field of the header: printable ASCII without blanks; ``-`` if it is empty."""
    return "".join(letter if "!" <= letter <= "~" else "_" for letter in text)[:limit] or "-"
