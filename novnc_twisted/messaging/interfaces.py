"""The interfaces of the bus: calls, broadcasts, presence (which services are live) and a keyed store.

Calls are made to a *topic*, a name such as ``consoleauth`` or ``compute.host1``.  One or more servers serve a topic.
In this module, a server is a service that runs the calls to a topic, not a VM.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from novnc_twisted.errors import Refusal, ServiceUnavailable

Method = Callable[..., Awaitable[Any]]
"""A method that a server offers.

It takes JSON values by keyword, and returns JSON or raises a :class:`novnc_twisted.errors.Refusal`.
"""


@dataclass(frozen=True, slots=True)
class Service:
    """The presence entry of a live service.

    :ivar topic: the topic that the service serves; or, in an entry made by ``ITransport.announce``, the announced
        name, such as ``novncproxy.host1``.  A proxy has such an entry, and each of its workers has another entry for
        the topic ``proxy.HOST.WORKER``.
    :ivar worker: a name that is unique among the servers of one topic.
    :ivar binary: nova's name for the service, such as ``nova-compute``.
    :ivar host: the service's ``host`` option.
    :ivar updated_at: Unix time of the entry's last renewal, in seconds.
    :ivar info: further data that the service announces, as JSON values.
    :ivar place: for a compute host, the address at which proxies reach its consoles
        (``server_proxyclient_address``); empty for other services.  Redis can permit each host to announce only its own
        address (see ``redis/acl.py``).
    """

    topic: str
    worker: str
    binary: str
    host: str
    updated_at: float
    info: Mapping[str, Any]
    place: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one server to a broadcast.

    :ivar service: a presence entry of the called topic.  If several servers share the topic, this is the first of their
        entries, even if another one of these servers has answered.
    :ivar result: the result of the called method; None if ``refusal`` is set.
    :ivar refusal: why there is no result.  After ServiceUnavailable, it is unknown whether the method has run.  Any
        other refusal was raised by the method.
    """

    service: Service
    result: Any = None
    refusal: Refusal | None = None


class TopicInUse(Exception):
    """Another live server has this topic, which may have only one server.

    The error's text is one line.  On Redis, the text names this process and, if the presence entries can be read, the
    processes that have the topic.
    """


class UnusableRecord(ServiceUnavailable):
    """The store answers, but an object is invalid or too large.

    This is also the error for a part of a compute host's record (:mod:`.domain_record`) that is missing or malformed.
    """


class IKeyedStore(Interface):
    """A small store of JSON objects under keys that expire.

    There are also indexes (ordered lists of keys of objects), logs (lists of objects) and groups (sets of texts).

    Each method fails with ServiceUnavailable if the store does not answer in time, or refuses the operation.
    """

    may_lose_data = Attribute("Whether the store's data can be lost while this process lives.  True for Redis.")

    def put(key: str, value: Mapping[str, Any], ttl: float, index: str = "") -> Deferred[int]:
        """Store an object for ``ttl`` seconds; with an index, also append the object's key to that index.

        If ``ttl`` is 0 or negative, remove the object with this key instead.

        :return: fires with the number of keys that the index has now; 0 without an index, or if nothing was stored.
        """

    def put_new(key: str, value: Mapping[str, Any], ttl: float) -> Deferred[bool]:
        """Store an object only if the key has no live object; return whether the object was stored.

        If several callers do this at the same time, only one of them gets True.
        """

    def get(key: str) -> Deferred[dict[str, Any] | None]:
        """Return the live object, or None; fails with UnusableRecord if the value is not an object of the store."""

    def get_many(keys: Sequence[str], limit: int = ...) -> Deferred[list[dict[str, Any] | UnusableRecord | None]]:
        """Return the live objects of several keys, in the order of the keys.

        The result is None for a key without a live object, and an UnusableRecord for an invalid object.

        :param limit: maximum size of an object in bytes.  A larger object is not decoded; its result is UnusableRecord.
        """

    def now() -> Deferred[float]:
        """Return the Unix time in seconds by the store's clock.  All services of one store use this one clock."""

    def extend(key: str, ttl: float) -> Deferred[bool]:
        """Let an object live for at least ``ttl`` more seconds; return False if the object does not exist.

        This never shortens the object's life.
        """

    def remove(*keys: str) -> Deferred[int]:
        """Remove objects and their index entries; return the number of removed objects."""

    def indexed(index: str, except_newest: int = 0) -> Deferred[list[str]]:
        """Return the keys of the live objects in an index, oldest first, without the newest ``except_newest`` keys."""

    def append(log: str, values: Sequence[Mapping[str, Any]], ttl: float) -> Deferred[None]:
        """Append objects to a log, each for ``ttl`` seconds.

        A log keeps its newest 100,000 entries (in memory: 10,000).  On Redis, older entries may remain a little longer.
        """

    def newest(log: str, before: str = "", limit: int = 100) -> Deferred[list[tuple[str, dict[str, Any]]]]:
        """Return at most ``limit`` entries of a log with their ids, newest first.

        In memory, only live entries are returned.  On Redis, expired entries are also returned until they are dropped.

        :param before: the id of an entry: only older entries are returned; empty: begin with the newest entry.  Fails
            with ValueError for any other text.
        """

    def join(group: str, member: str, ttl: float) -> Deferred[None]:
        """Add a text to a group, and let the group live for ``ttl`` more seconds.

        On Redis, a compute host only adds the text: it has no right to set how long the group lives.
        """

    def leave(group: str, *members: str) -> Deferred[None]:
        """Remove texts from a group."""

    def members(group: str, ttl: float) -> Deferred[list[str]]:
        """Return the texts of a group, sorted, and let the group live for ``ttl`` more seconds."""


class ITransport(Interface):
    """The bus.  Arguments and results are JSON, even if all services are in one process."""

    store = Attribute("An IKeyedStore.")

    def start() -> Deferred[None]:
        """Connect; fires after the first attempt.  If this attempt fails, further attempts follow."""

    def stop() -> Deferred[None]:
        """Withdraw all topics and entries, fail pending calls with ServiceUnavailable, and disconnect."""

    def ping(topic: str = "", *, deadline: float = 2.0) -> Deferred[None]:
        """Check that the bus answers and, with a topic, that the topic has a live server.  The server is not called.

        Fails with ServiceUnavailable if the check fails, after at most ``deadline`` seconds.  With a topic, this
        process must have a role that may call the topic.
        """

    def call(topic: str, method: str, /, *, deadline: float = 5.0, **arguments: Any) -> Deferred[Any]:
        """Call one of the servers of a topic; the method runs at most once.

        Fails with the Refusal that the method raised, or with ServiceUnavailable if the topic has no server or there
        is no answer within ``deadline`` seconds.  Cancelling the Deferred frees everything that the call holds in this
        process.
        """

    def broadcast(prefix: str, method: str, /, *, deadline: float = 5.0, **arguments: Any) -> Deferred[list[Answer]]:
        """Call each topic that begins with ``prefix``, such as ``proxy.``; return the answers in the order of topics.

        A broadcast costs one look-up of the presence entries and one call for each topic.  The calls are concurrent.
        Servers that share a topic are interchangeable, so only one of them is called.  A slow or dead server delays
        the result at most until the deadline.  The ``Answer`` of this server contains a ServiceUnavailable, and so does
        the ``Answer`` for a topic that is announced but not served.

        Fails with ServiceUnavailable if the presence entries cannot be read.
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
        returns_within: float = 0.0,
    ) -> Deferred[Callable[[], Deferred[None]]]:
        """Serve a topic and announce it; fires with a function that withdraws the topic and its presence entry.

        Each call to the topic runs on one of its servers.

        :param callers: the roles that may call each method (:data:`novnc_twisted.contract.roles.ROLES`).  A caller
            with another role gets the same error as for an unknown method.  A caller with the empty role, which
            services in one process have, may call every method.  None: all callers may call all methods.
        :param place: see ``Service``.  ValueError if it is longer than 255 characters, or contains a space, an
            ``@`` or a character that is not printable ASCII.
        :param exclusive: whether this must be the topic's only server.  If another server is alive, ``serve`` fails
            with ``TopicInUse``.  On Redis, the other server's entry may be left from a crash.  Such an entry expires
            after a few seconds, so ``serve`` waits until it is gone, and fails only if it still exists after this time.
            The other server may also be found later, for example because the bus was down at the start.  Then the
            server that already has a presence entry keeps the topic.  The server without an entry logs the conflict,
            and serves nothing while the other one is alive.
        :param returns_within: when the topic's last server withdraws, the service may be restarting.  For this number
            of seconds (at most 10), calls wait for the next server, and the topic counts as live.  After a crash, calls
            do not wait.
        """

    def announce(
        topic: str, *, binary: str, host: str, info: Mapping[str, Any] | None = None
    ) -> Deferred[Callable[[], Deferred[None]]]:
        """Add a presence entry without serving a topic; fires with a function that withdraws the entry."""

    def services(prefix: str = "") -> Deferred[list[Service]]:
        """Return the live services whose topic begins with ``prefix``, sorted by topic and worker."""
