"""The VNC servers of random sessions: each slot has one server, which serves one session at a time."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.interfaces import IListeningPort

from novnc_twisted.contract import ConnectInfo
from tests.hostile.crowd import Plan
from tests.support.script import Deaf, StartTLS
from tests.support.scripted import Peer, ScriptedServer

HOST = "compute1"
LONG = 5.0
"""Seconds after which a connection counts as left open by the proxy."""

NOWHERE = 1
"""A port of this machine without a listener."""


class Slot:
    """Listens on TCP and on a unix socket; plays the script of the session that has the slot.

    :ivar reached: VNC connections so far.
    """

    def __init__(self, folder: Path, number: int, tls: Any) -> None:
        self.server = ScriptedServer((), tls=tls)
        self.reached = 0
        self._number = number
        self._path = str(folder / f"{number}.sock")
        tcp: Any = reactor.listenTCP(0, self.server, interface="127.0.0.1")  # type: ignore[attr-defined]
        unix: Any = reactor.listenUNIX(self._path, self.server)  # type: ignore[attr-defined]
        self._tcp: int = tcp.getHost().port
        self.ports: tuple[IListeningPort, ...] = tcp, unix

    def take(self, plan: Plan) -> None:
        """Use this slot for a session."""
        self.plan = plan
        self.server.script = plan.server

    def info(self) -> ConnectInfo:
        """The ConnectInfo of the current session."""
        common: dict[str, Any] = {"name": "myserver20", "instance_uuid": f"uuid-{self._number}", "compute_host": HOST}
        if self.plan.where == "unix":
            return ConnectInfo(host="", port=0, socket=self._path, **common)
        return ConnectInfo(host="127.0.0.1", port=self._tcp if self.plan.where == "tcp" else NOWHERE, **common)

    @property
    def peers(self) -> list[Peer]:
        """The VNC connections of the current session."""
        return self.server.peers

    async def over(self) -> bool:
        """Wait until the proxy has closed the connection to the VNC server, after the viewer is gone.

        The test closes two kinds of connections itself.  A server that does not read cannot notice a close before the
        stall limit of a minute.  A connection with TLS may stay open, because Twisted waits for a producer that
        was paused when the other side left.

        :return: whether the proxy closed it within ``LONG`` seconds.
        """
        proper = True
        for peer in self.peers:
            if any(isinstance(step, Deaf | StartTLS) for step in peer.script):
                peer.leave()
            deadline = reactor.callLater(LONG, peer.leave)  # type: ignore[attr-defined]
            await peer.gone
            proper = proper and bool(deadline.active())
            if deadline.active():
                deadline.cancel()
        self.reached += len(self.peers)
        self.peers.clear()
        return proper
