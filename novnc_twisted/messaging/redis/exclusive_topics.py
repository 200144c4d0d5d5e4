"""Exclusive topics: only one process may serve such a topic.

Each compute host has an exclusive topic, because two hosts with the same name are an error in the configuration.
"""

import os
import socket
from collections.abc import Callable
from typing import Any

from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.process_life import has_ended
from novnc_twisted.messaging.wire import decode

_MAX_NAME = 200


def origin(address: str) -> str:
    """Return a description of this process for log lines of other processes.

    :param address: the local address of this process' connection to Redis; empty on a unix socket.
    """
    # The name of a machine may contain bytes that are not UTF-8, which JSON cannot contain.
    name = socket.gethostname()[:_MAX_NAME].encode("utf-8", "replace").decode()
    return ", ".join(filter(None, (name, address, f"process {os.getpid()}")))


class ExclusiveTopic:
    """Tracks whether this process has an exclusive topic.

    :param topic: the topic.
    :param owned: called with True when this process gets the topic, and with False when it loses the topic.
    :param health: logs a conflict about the topic, and the end of the conflict.
    """

    def __init__(self, topic: str, owned: Callable[[bool], None], health: Health) -> None:
        self.topic = topic
        self._owned = owned
        self._health = health
        self._has = False
        self._reported = False

    def won(self) -> None:
        """Serve the topic: no other process has it."""
        if not self._has:
            self._has = True
            self._owned(True)
        if self._reported:
            self._reported = False
            # Health puts "Redis" in front of the text.
            self._health.solved(f"no longer has another server of {self.topic}: this process serves it")

    def lost(self, sentence: str) -> None:
        """Serve nothing while another process has the topic.

        :param sentence: what :func:`conflict` returned, for the log.
        """
        if self._has:
            self._has = False
            self._owned(False)
        self._reported = self._health.problem(self.topic, sentence) or self._reported


def conflict(topic: str, host: str, mine: str, others: list[Any]) -> str:
    """Return the sentence for an error: several processes want to serve one exclusive topic.

    The sentence names the processes and the option to change.  It begins with a verb, because "Redis" is put in
    front of it.

    :param host: this service's ``host`` option.
    :param mine: the description of this process (:func:`origin`).
    :param others: the presence entries of the other processes with this topic.  An entry is the worker's id, a space
        and a JSON object, or an empty text if it could not be read.
    """
    names = ", ".join(filter(None, map(_named, others))) or "another process"
    return (
        f"has another live server of {topic}: host {host} belongs to {names}; this process ({mine}) serves nothing; "
        "set [DEFAULT] host to a name that no other host has"
    )


def left_by_ended(member: Any) -> bool:
    """Return whether a presence entry was left by a process of this machine that has ended."""
    name = _field(member, "life")
    return isinstance(name, str) and has_ended(name)


def _field(member: Any, name: str) -> Any:
    """Return a field of a presence entry of another process; None if the entry is invalid or has no such field."""
    try:
        return decode(member.split(" ", 1)[1])[name]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def _named(member: Any) -> str:
    """Return the origin in a presence entry.  Another process wrote this text, so it is cleaned and shortened."""
    name = _field(member, "from") or ""
    return "".join(letter if letter.isprintable() else "?" for letter in str(name)[: 2 * _MAX_NAME])
