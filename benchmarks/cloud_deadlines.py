"""Longer deadlines for a cloud whose hosts all run on one machine.

Each host of a real cloud has a processor of its own, renews its presence each second, and begins to wait for calls
again every other second.  Here one process does this for a thousand hosts, beside whatever else the machine does.  With
the usual periods, hosts of a busy machine would count as dead and calls would fail.  Longer periods change neither the
number of calls nor their CPU time.
"""

from hashlib import sha1
from importlib import import_module
from typing import Final

from novnc_twisted.messaging.redis import scripts
from novnc_twisted.messaging.redis.messages import MAX_DEADLINE

FACTOR: Final = 40.0
"""How many times as long the deadlines are."""

SECONDS: Final = {
    "novnc_twisted.messaging.redis.heartbeat": ("PRESENCE", "FROZEN", "STALL"),
    "novnc_twisted.messaging.redis.command_link": ("FROZEN",),
    "novnc_twisted.messaging.redis.link": ("PRESENCE",),
    "novnc_twisted.messaging.redis.presence": ("BEAT", "FROZEN", "KEPT", "PRESENCE", "_PERIOD"),
    "novnc_twisted.messaging.redis.service_list": ("PRESENCE",),
    "novnc_twisted.messaging.redis.queue": ("BLOCK", "LONG_BLOCK", "FROZEN"),
    "novnc_twisted.messaging.redis.store": ("DEADLINE",),
    "novnc_twisted.messaging.redis.transport": ("FROZEN", "DEADLINE"),
    "novnc_twisted.compute.rpcapi": ("LIST_DEADLINE",),
    "novnc_twisted.consoleauth.places": ("_LIKELY", "_OTHERS", "_CONFLICTS", "_GONE"),
    "novnc_twisted.consoleauth.time_limit": ("ANSWERED",),
}
"""For each module, its names of periods and deadlines."""

CALL: Final = min(5.0 * FACTOR, MAX_DEADLINE)
"""The deadline of a call in seconds, which is a parameter of the callers' classes."""


LATEST: Final = 10_000
"""The scripts ignore presence entries that end later than this many ms from now: no service writes such an entry."""


def lengthen() -> None:
    """Lengthen the deadlines of this process, before anything is started."""
    # All modules are imported before the first value changes, because they import values from one another.
    for module, names in [(import_module(module), names) for module, names in SECONDS.items()]:
        for name in names:
            value = getattr(module, name)
            setattr(module, name, type(value)(value * FACTOR))
    for script in scripts.ALL:
        script.text = script.text.replace(f"now + {LATEST}\n", f"now + {int(LATEST * FACTOR)}\n")
        script.sha = sha1(script.text.encode()).hexdigest()
