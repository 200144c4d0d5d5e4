"""The fields, the text and the name in Redis of a presence entry, which shows that a service is live."""

import json
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Announcement:
    """One presence entry of this process, and the queues that this process serves under the entry's topic.

    :ivar worker: the id of this entry.  If the process serves the topic, this is also the server's name.
    :ivar info: the text of a JSON object to announce.
    :ivar lists: the keys of the queues from which the server takes calls; empty if the topic is only announced.
    :ivar place: the announced address of a compute host; empty for other services.  If each compute host has its
        own Redis user, the user's rights contain the host's address, and Redis refuses any other address.
    :ivar exclusive: whether only this process may serve the topic.
    :ivar owned: called with True when an exclusive server may serve its topic, and with False when it must stop.
    :ivar returns_within: see ``ITransport.serve``.
    """

    topic: str
    worker: str
    binary: str
    host: str
    info: str
    lists: tuple[str, ...] = ()
    place: str = ""
    exclusive: bool = False
    owned: Callable[[bool], None] = lambda _owned: None
    returns_within: float = 0.0

    @property
    def name(self) -> str:
        """The entry's name ``TOPIC@PLACE``, as in the sets ``services:KIND`` in Redis."""
        return f"{self.topic}@{self.place}"

    @property
    def server(self) -> str:
        """The server's name in the set of the topic's servers; empty if the topic is only announced."""
        return self.worker if self.lists else ""

    def member(self, origin: str, life: str) -> str:
        """Return the entry as text: its worker, a space, and a JSON object.

        :param origin: a description of this process for log lines.
        :param life: the name of this process (:mod:`.process_life`), or empty.  Only an exclusive entry contains this
            name.  With this name, the next server on the same machine can check whether this process has ended.
        """
        # While the entry lives, its text must not change: the entry is renewed and removed by its exact text.
        names = f'"binary":{json.dumps(self.binary)},"host":{json.dumps(self.host)},"from":{json.dumps(origin)}'
        if self.exclusive and life:
            names += f',"life":{json.dumps(life)}'
        return f'{self.worker} {{{names},"info":{self.info}}}'
