"""The list of live services, read from the presence entries of all processes."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import Service
from novnc_twisted.messaging.redis import keys
from novnc_twisted.messaging.redis.command_link import CommandLink
from novnc_twisted.messaging.redis.heartbeat import PRESENCE
from novnc_twisted.messaging.redis.scripts import SERVICES
from novnc_twisted.messaging.waiting import Late, sleep, within
from novnc_twisted.messaging.wire import check_topic, decode

LOOK_AGAIN = 0.25
"""Seconds between two look-ups of services while some of them may still be reconnecting to Redis."""

MAX_KNOWN = 20_000
"""Maximum number of entries whose parsed fields are cached."""


class ServiceList:
    """Looks up which services are live.

    :param keeps: whether this process also maintains the list: its look-ups remove the names of services whose entries
        have expired.
    """

    def __init__(self, reactor: Any, link: CommandLink, keeps: bool) -> None:
        self._reactor = reactor
        self._link = link
        self._keeps = "1" if keeps else ""
        self._known: dict[str, Counter[str]] = {}  # prefix -> names in the last complete look-up, counted
        self._looking: set[Deferred[list[Any]]] = set()
        self._stopped = False

    def stop(self) -> None:
        """Cancel the look-ups that wait."""
        self._stopped = True
        for looking in list(self._looking):
            # A look-up may wait for the end of a grace period.  The stop must not take that long.
            looking.cancel()

    async def find(self, prefix: str, deadline: float) -> list[Service]:
        """Return the live services whose topic begins with ``prefix``.

        After an outage of Redis, wait until all services of the last complete look-up have renewed their entries, or
        until the grace period (the time that services have for this) is over.

        :raises ServiceUnavailable: Redis does not answer, or :meth:`stop` was called.
        """
        looking = Deferred.fromCoroutine(self._find(prefix, deadline))
        self._looking.add(looking)
        try:
            found = await within(looking, deadline, self._reactor)
        except Late:
            raise ServiceUnavailable(f"Redis did not answer within {deadline:.3g} s") from None
        except CancelledError:
            if self._stopped:
                raise ServiceUnavailable("the transport was stopped") from None
            raise
        finally:
            self._looking.discard(looking)
        services = [read_service(*found[place : place + 3]) for place in range(0, len(found) - 2, 3)]
        return sorted(
            (service for service in services if service is not None and service.topic.startswith(prefix)),
            key=lambda service: (service.topic, service.worker),
        )

    async def _find(self, prefix: str, deadline: float) -> list[Any]:
        while True:
            # The kind is the part of a topic before the first dot.  A prefix without a dot may match several kinds.
            kind = keys.kind_of(prefix) if "." in prefix else ""
            words = keys.announced(""), self._keeps, prefix, kind
            found = list(await self._link.run(SERVICES, [keys.KINDS], *words, deadline=deadline))
            names, known = Counter(found[::3]), self._known.get(prefix)
            # Read the grace period after the answer, because an outage during the command begins one.
            grace = self._link.grace_period
            # The answer is complete if no grace period runs, or if every service of the last complete answer is back.
            if not grace or (known is not None and names >= known):
                self._known[prefix] = names
                return found
            await sleep(min(grace, LOOK_AGAIN), self._reactor)


def read_service(name: Any, member: Any, score: Any) -> Service | None:
    """Read a presence entry as Redis returns it; None if it is invalid."""
    try:
        topic, worker, binary, host, info, place = _read_entry(name, member)
        expires_at = float(score) / 1000
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return Service(topic, worker, binary, host, expires_at - PRESENCE, info, place)


@lru_cache(maxsize=MAX_KNOWN)
def _read_entry(name: str, member: str) -> tuple[str, str, str, str, Mapping[str, Any], str]:
    """Return the fields of a presence entry, without its time.

    The result is cached, because there may be thousands of entries, which do not change while their services run.
    """
    worker, text = member.split(" ", 1)
    topic, _, place = name.rpartition("@")
    check_topic(topic)
    entry = decode(text)
    binary, host, info = entry["binary"], entry["host"], entry["info"]
    if not (isinstance(binary, str) and isinstance(host, str) and isinstance(info, dict)):
        raise ValueError("not a presence entry")
    return topic, worker, binary, host, info, place
