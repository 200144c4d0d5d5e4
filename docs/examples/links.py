"""Show VNC servers in the browser, with your own links: ``python links.py HOST:PORT``.

A Twisted program without OpenStack, libvirt and a bus, with the noVNC proxy of novnc_twisted.  It knows the consoles.
It prints a link to the VNC server at HOST:PORT, which is valid for one minute.
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
"""Seconds for which a link is valid. A console that is open by then stays open."""


class Links:
    """Creates tokens, and answers the proxy's questions about them."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._consoles: dict[str, ConnectInfo] = {}

    def draw(self, host: str, port: int, name: str) -> str:
        """Create a token for the VNC server at this address."""
        token = secrets.token_urlsafe(16)
        self._consoles[token] = ConnectInfo(host=host, port=port, name=name)
        self._clock.callLater(LIFETIME, self._consoles.pop, token)
        return token

    async def authorise(self, token: str, console_type: str, client_address: str) -> ConnectInfo:
        """Called by the proxy for each viewer. The viewer shows the refusal that is raised here.

        The second argument is the detail for the log: never a token or another secret.
        """
        if client_address != "127.0.0.1":
            raise ConsoleForbidden(f"{client_address} is not this machine")
        if token not in self._consoles:
            raise InvalidToken("unknown token")
        return self._consoles[token]


async def main(reactor: Any, address: str) -> None:
    """Listen, print a link, and run until the reactor stops."""
    host, _, port = address.rpartition(":")
    links = Links(reactor)
    factory = NoVNCProxyFactory(reactor, links.authorise)
    # Sessions, also those that are being set up, are closed with a reason.
    reactor.addSystemEventTrigger("before", "shutdown", factory.stop_sessions)
    listening = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    token = links.draw(host, int(port), name="example")
    print(f"http://127.0.0.1:{listening.getHost().port}/vnc_auto.html?token={token}", flush=True)
    await Deferred()


if __name__ == "__main__":
    if len(sys.argv) != 2 or ":" not in sys.argv[1]:
        sys.exit("usage: python links.py HOST:PORT")
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor, sys.argv[1])))
