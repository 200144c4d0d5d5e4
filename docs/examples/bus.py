"""Call one of your own services from another: ``python bus.py [TRANSPORT-URL]``.

A service that greets, and a caller, with the messaging of novnc_twisted. With ``memory://``, the default, both are in
one process. With a ``redis://`` URL they can be on different machines.
"""

import sys
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred

from novnc_twisted.errors import InstanceNotFound, Refusal
from novnc_twisted.messaging import transport_from_url


async def greet(name: str) -> dict[str, str]:
    """A method of the service: it takes JSON values as keyword arguments, and returns JSON or raises a refusal."""
    if not name:
        raise InstanceNotFound("nobody to greet")
    return {"greeting": f"Hello, {name}"}


async def main(reactor: Any, url: str) -> None:
    """Serve, call, stop."""
    transport = transport_from_url(reactor, url)
    await transport.start()
    try:
        await transport.serve("example", {"greet": greet}, binary="example", host="here")
        print(await transport.call("example", "greet", name="you", deadline=2.0))
        for topic, name in (("example", ""), ("nowhere", "you")):
            try:
                await transport.call(topic, "greet", name=name, deadline=2.0)
            except Refusal as refusal:
                print(refusal)
    finally:
        await transport.stop()


if __name__ == "__main__":
    arguments = sys.argv[1:] or ["memory://"]
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor, *arguments)))
