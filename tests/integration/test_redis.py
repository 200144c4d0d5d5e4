"""The contract of transports, for the Redis transport on a real redis-server."""

from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from novnc_twisted.messaging import transport_from_url
from tests.messaging.call_contract import CallContract
from tests.messaging.store_contract import StoreContract
from tests.messaging.topic_contract import TopicContract
from tests.support.redis_server import RedisServer


class RedisContractTests(CallContract, TopicContract, StoreContract, TestCase):
    timeout = 300

    async def setUp(self) -> None:
        self.redis = RedisServer(self)
        self.transport: Any = transport_from_url(reactor, self.redis.url)
        self.other: Any = transport_from_url(reactor, self.redis.url)
        for transport in (self.transport, self.other):
            self.addCleanup(transport.stop)
            await transport.start()
