"""libvirt's domain states (virDomainState) by the names and numbers that the API shows (nova's ``power_state``)."""

STATES: dict[int, tuple[str, int]] = {
    0: ("nostate", 0),
    1: ("running", 1),
    2: ("running", 1),  # blocked on a resource: Xen's word for idle
    3: ("paused", 3),
    4: ("shutoff", 4),  # being shut down
    5: ("shutoff", 4),
    6: ("crashed", 6),
    7: ("suspended", 7),
}
"""virDomainState -> its name here, and nova's number."""

SHUTOFF = 5
SHUTOFF_SAVED = 5
"""virDomainShutoffReason: the memory was saved when it stopped, and the next start continues with it."""

PAUSED = 3
PAUSED_FOR_MIGRATION = (2, 12, 13)
"""virDomainPausedReason: of the source while it hands over, of the destination until then; of the source as long as the
destination runs on what it still fetches from there (post-copy), and where that failed.
"""


def state_of(state: int, reason: int) -> tuple[str, int]:
    """Return the name of a state, and nova's number of it."""
    if state == SHUTOFF and reason == SHUTOFF_SAVED:
        return "saved", 4
    return STATES.get(state, STATES[0])


def is_migrating(state: int, reason: int) -> bool:
    """Whether the domain is moving to or from this host, so that its console here cannot be used."""
    return state == PAUSED and reason in PAUSED_FOR_MIGRATION
