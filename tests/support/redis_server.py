"""A real Redis server on a free port or a unix socket; a test can kill, restart and freeze it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.support.ports import free_port

BINARY = os.environ.get("TEST_REDIS_SERVER") or shutil.which("redis-server")
"""The server to start; TEST_REDIS_SERVER may name another one, such as a valkey-server."""
START = 60.0
"""Seconds within which it has to accept connections."""


class RedisServer:
    """A redis-server for one test.

    :param case: the test; its clean-up ends the server.
    :param unix: whether to listen on a unix socket only.
    :param tls: files with certificate, key and CA certificates; with them the port uses TLS.
    :param sentinel: start a Sentinel instead of a server.
    :param address: where it listens, on a free port.
    :param options: further lines of redis.conf.
    :param start: whether to start it at once.
    """

    def __init__(
        self,
        case: TestCase,
        *,
        unix: bool = False,
        tls: tuple[Path, Path, Path] | None = None,
        sentinel: bool = False,
        address: str = "127.0.0.1",
        options: tuple[str, ...] = (),
        start: bool = True,
    ) -> None:
        if BINARY is None:
            raise RuntimeError("redis-server is not installed")
        # Not below the test's own folder: the path of a unix socket must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))
        case.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.address = address
        self.port = 0 if unix else free_port()
        self.socket = self.folder / "redis.sock"
        lines = [
            f"dir {self.folder}",
            f"unixsocket {self.socket}",
            f"logfile {self.folder / 'redis.log'}",
            *([] if sentinel else ['save ""']),
            f"bind {address}",
            f"port {0 if tls else self.port}",
            *options,
        ]
        if tls is not None:
            certificate, key, authorities = tls
            lines += [
                f"tls-port {self.port}",
                f"tls-cert-file {certificate.resolve()}",
                f"tls-key-file {key.resolve()}",
            ]
            lines += [f"tls-ca-cert-file {authorities.resolve()}", "tls-auth-clients optional"]
        (self.folder / "redis.conf").write_text("\n".join(lines) + "\n")
        self._mode = ["--sentinel"] if sentinel else []
        self._process: subprocess.Popen[bytes] | None = None
        case.addCleanup(self.kill)
        if start:
            self.start()

    @property
    def url(self) -> str:
        """Its ``redis://`` URL."""
        return f"redis://{self.address}:{self.port}/0"

    def start(self) -> None:
        """Start or restart it, at the same address, and wait until it accepts connections."""
        self._process = subprocess.Popen(
            [BINARY, str(self.folder / "redis.conf"), *self._mode], stdin=subprocess.DEVNULL
        )
        end = time.monotonic() + START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"redis-server does not start: {(self.folder / 'redis.log').read_text()[-2000:]}")
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill it with SIGKILL, and wait until it has ended."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    @property
    def pid(self) -> int:
        """The id of its process."""
        if self._process is None:
            raise RuntimeError("it does not run")
        return self._process.pid

    def freeze(self) -> None:
        """Freeze its process (SIGSTOP); its sockets stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let its process continue, if it still runs."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)

    def command(self, *words: str | bytes, login: tuple[str, ...] = ()) -> object:
        """Send a command on a new connection, and return the reply as bytes.  Blocks."""
        with Client(self) as client:
            if login:
                client.command("AUTH", *login)
            return client.command(*words)

    def lasting(self) -> list[bytes]:
        """The keys without an expiry."""
        keys = self.command("KEYS", "*")
        assert isinstance(keys, list)
        # -2: the key has expired since then.
        return [key for key in keys if self.command("PTTL", key) == -1]

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
                probe.settimeout(1)
                probe.sendall(b"PING\r\n")
                reply = probe.recv(100)
        except OSError:
            return False
        return reply.startswith((b"+PONG", b"-NOAUTH", b"-NOPERM"))


class Client:
    """A small blocking client on the unix socket, which shares no code with the product."""

    def __init__(self, server: RedisServer) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(server.socket))
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def set_timeout(self, seconds: float) -> None:
        """Set how long to wait for a reply."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def command(self, *words: str | bytes) -> object:
        """Send a command, and return the reply.

        :raises RuntimeError: the reply is an error.
        """
        parts = [word.encode() if isinstance(word, str) else word for word in words]
        self._socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))
        return self.reply()

    def reply(self) -> object:
        """The next reply, or the next line of MONITOR."""
        line = self._file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        raise RuntimeError(f"no reply: {line!r}")
