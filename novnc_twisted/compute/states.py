"""Converts libvirt's domain states (virDomainState) to the API's names and to nova's ``power_state``."""

STATES: dict[int, tuple[str, int]] = {
    0: ("nostate", 0),
    1: ("running", 1),
    2: ("running", 1),  # VIR_DOMAIN_BLOCKED: Xen reports it for an idle domain
    3: ("paused", 3),
    4: ("shutdown", 4),  # being shut down: its QEMU still runs
    5: ("shutoff", 4),
    6: ("crashed", 6),
    7: ("suspended", 7),
}
"""virDomainState -> the API's name of the state, and nova's number (``power_state``)."""

SHUTOFF = 5
"""The virDomainState of a stopped domain."""

SHUTOFF_SAVED = 5
"""virDomainShutoffReason: the domain's memory was saved when it stopped, and the next start restores the memory."""

PAUSED = 3
"""The virDomainState of a paused domain."""

PAUSED_FOR_MIGRATION = (2, 12, 13)
"""Values of virDomainPausedReason for a domain that is paused because of a migration.

2 (MIGRATION): on the source, for the last step of the migration; on the destination, until that step is done.
12 (POSTCOPY): on the source, while the destination runs and still fetches memory from it.
13 (POSTCOPY_FAILED): the fetching of memory failed.
"""


def state_of(state: int, reason: int) -> tuple[str, int]:
    """Return the name of a state, and nova's number."""
    if state == SHUTOFF and reason == SHUTOFF_SAVED:
        return "saved", 4
    return STATES.get(state, STATES[0])


def is_migrating(state: int, reason: int) -> bool:
    """Return whether a domain is paused by a migration to or from this host: its console here cannot be used."""
    return state == PAUSED and reason in PAUSED_FOR_MIGRATION
