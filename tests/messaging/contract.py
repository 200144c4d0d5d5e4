"""The contract of every transport: the same tests run in memory and on a real Redis.

The tests are in ``call_contract``, ``topic_contract`` and ``store_contract``.
"""

from typing import Any

from twisted.internet import reactor as real_reactor
from twisted.internet.task import deferLater
from zope.interface.verify import verifyObject

from novnc_twisted.messaging.interfaces import IKeyedStore, ITransport


class TransportContract:
    """Mixed into TestCases that set ``transport`` and ``other``: two started transports of the same bus.

    They may be the same object.  ``pause(seconds)`` waits by the transport's clock.
    """

    transport: Any
    other: Any

    async def pause(self, seconds: float) -> None:
        await deferLater(real_reactor, seconds, lambda: None)

    async def serve(self, topic: str = "consoleauth", **methods: Any) -> Any:
        return await self.other.serve(topic, methods, binary="nova-consoleauth", host="control")

    async def test_interfaces(self) -> None:
        verifyObject(ITransport, self.transport)
        verifyObject(IKeyedStore, self.transport.store)
