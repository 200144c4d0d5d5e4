"""Screens of VNC servers in the browser, by links of your own: ``python links.py HOST:PORT``.

No OpenStack, no libvirt, no bus: a Twisted program that knows which consoles there are, and the noVNC front of
novnc_twisted before them. It prints a link to the VNC server at HOST:PORT, good for one minute.
"""

import secrets
import sys
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import ConsoleForbidden, InvalidToken
from novnc_twisted.novncproxy import NoVNCProxyFactory

LIFETIME = 60.0
"""Seconds for which a link admits viewers; a console that is open by then stays open."""


class Links:
    """Draws tokens, and tells the front what is behind them."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._consoles: dict[str, ConnectInfo] = {}

    def draw(self, host: str, port: int, name: str) -> str:
        """A new token for the VNC server at this address."""
        token = secrets.token_urlsafe(16)
        self._consoles[token] = ConnectInfo(host=host, port=port, name=name)
        self._clock.callLater(LIFETIME, self._consoles.pop, token)
        return token

    async def authorise(self, token: str, console_type: str, client_address: str) -> ConnectInfo:
        """What the front asks for each viewer. A refusal that is raised here is what the viewer shows.

        The second argument is the detail for the log: never a token or another secret.
        """
        if client_address != "127.0.0.1":
            raise ConsoleForbidden(f"{client_address} is not this machine")
        if token not in self._consoles:
            raise InvalidToken("not one of ours")
        return self._consoles[token]


async def main(reactor: Any, address: str) -> None:
    """Listen, print a link, and go on until the reactor stops."""
    host, _, port = address.rpartition(":")
    links = Links(reactor)
    factory = NoVNCProxyFactory(reactor, links.authorise)
    # Sessions, those being set up too, end with a word of farewell.
    reactor.addSystemEventTrigger("before", "shutdown", factory.stop_sessions)
    listening = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    token = links.draw(host, int(port), name="example")
    print(f"http://127.0.0.1:{listening.getHost().port}/vnc_auto.html?token={token}", flush=True)
    await Deferred()


if __name__ == "__main__":
    if len(sys.argv) != 2 or ":" not in sys.argv[1]:
        sys.exit("usage: python links.py HOST:PORT")
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor, sys.argv[1])))
