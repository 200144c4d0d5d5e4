"""TigerVNC's Xvnc: a VNC server that shares no code with QEMU's, and offers any list of security types."""

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from novnc_twisted.rfb.security.vnc import response
from tests.support.twistd import free_port

_READY = 3  # the descriptor to which it writes its display number once it listens
_FILE_KEY = bytes((23, 82, 107, 6, 35, 78, 88, 7))  # the fixed key of every VNC password file


class Xvnc(ProcessProtocol):
    """An Xvnc process.

    :ivar output: what it printed, such as the security types that its clients chose.
    :ivar port: its port on 127.0.0.1.
    """

    def __init__(self) -> None:
        self.output = ""
        self.port = free_port()
        self._ready: Deferred[None] = Deferred()
        self._ended: Deferred[None] = Deferred()

    @classmethod
    async def start(
        cls,
        case: TestCase,
        security_types: str,
        *,
        cert: Path | None = None,
        key: Path | None = None,
        password: str = "",
    ) -> "Xvnc":
        """Start one, and wait until it listens; it ends with the test.

        :param security_types: a list such as ``None,VncAuth,X509None``, in the order in which it offers them.
        """
        program = shutil.which("Xtigervnc")
        if program is None:
            raise FileNotFoundError("no Xtigervnc found: apt-get install tigervnc-standalone-server")
        self = cls()
        arguments: Sequence[str] = [program, "-displayfd", str(_READY), "-geometry", "320x200", "-nolisten", "tcp"]
        arguments = [*arguments, "-localhost", "-interface", "127.0.0.1", "-rfbport", str(self.port)]
        arguments = [*arguments, "-SecurityTypes", security_types, "-Log", "*:stderr:100"]
        if cert and key:
            arguments = [*arguments, "-X509Cert", str(cert), "-X509Key", str(key)]
        if password:
            path = Path(case.mktemp()).absolute()
            path.write_bytes(response(_as_key(), password.encode().ljust(8, b"\0")))
            arguments = [*arguments, "-rfbauth", str(path)]
        spawn: Any = reactor.spawnProcess  # type: ignore[attr-defined]
        process = spawn(self, program, arguments, env={"PATH": "/usr/bin:/bin"}, childFDs={1: "r", 2: "r", _READY: "r"})

        async def stop() -> None:
            if not self._ended.called:
                process.signalProcess(signal.SIGTERM)  # it removes its socket in /tmp/.X11-unix
                killer = reactor.callLater(60, process.signalProcess, signal.SIGKILL)  # type: ignore[attr-defined]
                await self._ended
                if killer.active():
                    killer.cancel()

        case.addCleanup(stop)
        self._ready.addTimeout(120, reactor)  # type: ignore[arg-type]
        await self._ready
        return self

    async def seen(self, text: str) -> None:
        """Wait until it has printed a text; the test's time-out ends the wait."""
        while text not in self.output:
            await deferLater(reactor, 0.01, lambda: None)  # type: ignore[arg-type]

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD == _READY:
            if not self._ready.called:
                self._ready.callback(None)
        else:
            self.output += data.decode("utf-8", "replace")

    def processEnded(self, reason: Any) -> None:
        if not self._ready.called:
            self._ready.errback(AssertionError(f"Xvnc ended: {self.output}"))
        self._ended.callback(None)


def _as_key() -> str:
    return _FILE_KEY.decode("latin-1")
