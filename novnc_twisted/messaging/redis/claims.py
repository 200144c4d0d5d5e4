"""Topics of which there can be one server only, such as a compute host's: two with one name are a mistake."""

import os
import socket
from collections.abc import Callable
from typing import Any

from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.wire import decode

_MAX_NAME = 200


def origin(address: str) -> str:
    """This process, as others name it in their logs.

    :param address: the one from which it reaches Redis, empty where that says nothing.
    """
    return ", ".join(filter(None, (socket.gethostname()[:_MAX_NAME], address, f"process {os.getpid()}")))


class Claim:
    """Whether this process has an exclusive topic.

    :param topic: the topic.
    :param owned: called with each change.
    :param health: reports that it was lost, and got back.
    """

    def __init__(self, topic: str, owned: Callable[[bool], None], health: Health) -> None:
        self.topic = topic
        self._owned = owned
        self._health = health
        self._has = False
        self._reported = False

    def won(self) -> None:
        """Nobody else has the topic."""
        if not self._has:
            self._has = True
            self._owned(True)
        if self._reported:
            self._reported = False
            self._health.solved(f"has no other {self.topic} any more: this process serves it")

    def lost(self, sentence: str) -> None:
        """Another server has the topic: serve nothing while it is alive."""
        if self._has:
            self._has = False
            self._owned(False)
        self._reported = self._health.problem(self.topic, sentence) or self._reported


def conflict(topic: str, host: str, mine: str, others: list[Any]) -> str:
    """The line for the log and for the end of a start: names both processes, and the option to change.

    :param host: this service's ``host`` option.
    :param others: the presence entries under the topic, ``WORKER JSON``.
    """
    names = ", ".join(filter(None, map(_named, others))) or "another process"
    return (
        f"has another live {topic}: host {host} belongs to {names}; this one ({mine}) serves nothing; "
        "set [DEFAULT] host to a name that no other host has"
    )


def _named(member: Any) -> str:
    """The origin that a presence entry gives: others wrote it, so it is cleaned and cut."""
    try:
        name = decode(member.split(" ", 1)[1])["from"]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return ""
    return "".join(letter if letter.isprintable() else "?" for letter in str(name)[: 2 * _MAX_NAME])
