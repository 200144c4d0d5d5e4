"""Reads single keys of a Redis that belongs to another program, which stores tokens in it (option ``token_source``)."""

from typing import Any, Final

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis.endpoint import endpoint_of
from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.link import Link
from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError
from novnc_twisted.messaging.redis.reasons import sentence
from novnc_twisted.messaging.redis_url import RedisURL
from novnc_twisted.messaging.waiting import Late, within

DEADLINE: Final = 3.0
"""Seconds for a reply, including the wait for a connection."""

_MAX_VALUE: Final = 64 << 10
"""Maximum number of bytes of a reply; a longer one ends the connection."""


class RedisReader:
    """One connection for GET.  It reconnects whenever it is lost."""

    def __init__(self, reactor: Any, address: RedisURL) -> None:
        """Prepare; :meth:`start` connects.

        :raises ValueError: a file that the URL names (a certificate or key) cannot be used, or ``server_name`` is
            invalid.
        """
        self._reactor = reactor
        self._health = Health(reactor, address.label, option="token_source")
        self._link = Link(
            reactor, endpoint_of(reactor, address), address, self._health, "token look-ups", max_pending=_MAX_VALUE
        )

    def start(self) -> None:
        """Begin to connect."""
        self._link.start()

    async def stop(self) -> None:
        """Close the connection."""
        self._health.stop()
        await self._link.stop()

    async def get(self, key: str) -> str | None:
        """Return the value of a key; None: the key does not exist, or its value is not a text.

        :raises ServiceUnavailable: there is no connection, no reply in time, or Redis answers with an error.
        """
        begun = self._reactor.seconds()
        protocol = await self._link.connected(DEADLINE)
        left = DEADLINE - (self._reactor.seconds() - begun)
        try:
            value = await within(protocol.command("GET", key), left, self._reactor)
        except Late:
            # Redis may be frozen; a new connection will show whether it is.
            protocol.transport.abortConnection()
            raise ServiceUnavailable(f"Redis did not answer within {DEADLINE:g} s") from None
        except ConnectionGone:
            raise ServiceUnavailable("the connection to Redis was lost before it answered") from None
        except RedisError as error:
            if error.code == "WRONGTYPE":
                return None
            denied = "the Redis user in token_source has no right to read the keys of tokens"
            why = denied if error.code == "NOPERM" else sentence(error.code)
            self._health.complain(f"answered {error.code} to a command: {why}")
            raise ServiceUnavailable(f"Redis answered {error.code}") from None
        return value if isinstance(value, str) else None
