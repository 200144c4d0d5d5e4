"""What every transport gives: calls, presence and a keyed store."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from novnc_twisted.errors import ServiceUnavailable

Method = Callable[..., Awaitable[Any]]
"""A method that is served: takes JSON by keyword, gives JSON, or raises a :class:`novnc_twisted.errors.Refusal`."""


@dataclass(frozen=True, slots=True)
class Service:
    """A live service as the others see it.

    :ivar topic: what it serves or, where it serves nothing, is called (``consoleauth``, ``compute.host1``).
    :ivar worker: tells the workers of one topic apart.
    :ivar binary: nova's name of it, as ``nova-compute``.
    :ivar host: its ``host`` option.
    :ivar updated_at: Unix time of its last sign of life.
    :ivar info: what else it announced, JSON.
    :ivar place: an address of its own, for which its user's rights on the bus may vouch.
    """

    topic: str
    worker: str
    binary: str
    host: str
    updated_at: float
    info: Mapping[str, Any]
    place: str = ""


class TopicInUse(Exception):
    """Another live server has a topic of which there can be one only; the text names both, as one line."""


class UnusableRecord(ServiceUnavailable):
    """Something stands in the store that cannot be used; the store itself answers."""


class IKeyedStore(Interface):
    """A small store of JSON objects under keys that expire.

    Each method fails with ServiceUnavailable where the store does not answer within its deadline.
    """

    may_lose_data = Attribute("Whether its data can be lost while this process lives, as Redis' can.")

    def put(key: str, value: Mapping[str, Any], ttl: float, index: str = "") -> Deferred[None]:
        """Store an object for ``ttl`` seconds; with an index it is also listed there, in the order of its making."""

    def put_new(key: str, value: Mapping[str, Any], ttl: float) -> Deferred[bool]:
        """Store it only where nothing stands; True for exactly one of many callers."""

    def get(key: str) -> Deferred[dict[str, Any] | None]:
        """The live object, or None; fails with UnusableRecord where something else stands there."""

    def get_many(keys: Sequence[str]) -> Deferred[list[dict[str, Any] | UnusableRecord | None]]:
        """The live objects of several keys, in their order; UnusableRecord where :meth:`get` fails with it."""

    def now() -> Deferred[float]:
        """The time by which objects expire, as Unix time in seconds: one clock for all that use the store."""

    def extend(key: str, ttl: float) -> Deferred[bool]:
        """Let it live for at least ``ttl`` more seconds, never shorter than before; False where it is gone."""

    def remove(*keys: str) -> Deferred[int]:
        """Remove objects (and their places in indexes); how many there were."""

    def indexed(index: str, except_newest: int = 0) -> Deferred[list[str]]:
        """The keys of the live objects of an index, oldest first, without so many of the newest."""

    def join(group: str, member: str, ttl: float) -> Deferred[None]:
        """Add a text to a group; the group lives for ``ttl`` seconds after the last addition or look."""

    def leave(group: str, member: str) -> Deferred[None]:
        """Take a text out of a group."""

    def members(group: str, ttl: float) -> Deferred[list[str]]:
        """The texts of a group, sorted; who looks lets the group live for ``ttl`` seconds more."""


class ITransport(Interface):
    """The way to the other services.  Arguments and results are JSON, also where everything is in one process."""

    store = Attribute("An IKeyedStore.")

    def start() -> Deferred[None]:
        """Begin; fires once the first connection was tried.  Where the other side is down it goes on trying."""

    def stop() -> Deferred[None]:
        """Withdraw everything served and announced, fail pending calls with ServiceUnavailable, and close."""

    def call(topic: str, method: str, /, *, deadline: float = 5.0, **arguments: Any) -> Deferred[Any]:
        """Call one of the servers of a topic; at most once.

        Fails with the Refusal that the method raised, or with ServiceUnavailable where nobody serves the topic, or
        nobody answers within ``deadline`` seconds.  Cancelling it frees everything that it holds here.
        """

    def serve(
        topic: str,
        methods: Mapping[str, Method],
        *,
        binary: str,
        host: str,
        info: Mapping[str, Any] | None = None,
        callers: Mapping[str, Collection[str]] | None = None,
        place: str = "",
        exclusive: bool = False,
    ) -> Deferred[Callable[[], Deferred[None]]]:
        """Serve a topic (each call to it runs on one of its servers) and announce that; gives a way to stop.

        :param callers: the roles that each method is for (``novnc_twisted.contract.ROLES``): to others it
            is unknown.  Who has no role may call everything.  None: every method is for all.
        :param place: an address of its own; ValueError where it has a space or an ``@``.
        :param exclusive: it has to be the topic's only server.  Fails with ``TopicInUse`` where another one is
            alive, once the presence of a server that crashed has had time to expire.  Where the bus is down at first,
            or another server takes the topic later, this one serves nothing while the other is alive, and logs that.
        """

    def announce(
        topic: str, *, binary: str, host: str, info: Mapping[str, Any] | None = None
    ) -> Deferred[Callable[[], Deferred[None]]]:
        """Be seen among the services without serving anything; gives a way to stop."""

    def services(prefix: str = "") -> Deferred[list[Service]]:
        """The live services whose topic begins so, sorted by topic and worker."""
