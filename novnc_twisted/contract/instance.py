"""A server as its compute host reports it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Final, Self

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import LOCAL, Record, record

UNKNOWN: Final = "unknown"
"""The state of a server whose host does not answer.  No hypervisor reports this state."""

_INACTIVE: Final = ("shutoff", "saved", "nostate", UNKNOWN)


def _number(most: int) -> Callable[[Any], int]:
    """Return a check that accepts an integer from 0 to ``most``, and replaces every other value with 0."""
    return lambda value: value if type(value) is int and 0 <= value <= most else 0


@record
class Instance(Record):
    """A domain of a compute host.

    Only ``uuid``, ``name`` and ``state`` must be valid.  An invalid value of another field is replaced by its
    default, so that the server stays in lists.

    :ivar uuid: the UUID, in lower case.
    :ivar name: the name of the domain.
    :ivar project_id: the id of the project in nova's metadata.
    :ivar project_name: the name of that project.
    :ivar user_id: the id of the user in nova's metadata.
    :ivar user_name: the name of that user.
    :ivar created: when nova created the server, in ISO 8601.
    :ivar vcpus: the number of virtual CPUs.
    :ivar memory_mb: the memory in MiB.
    :ivar state: the name of the state, such as ``running`` or ``saved``; ``unknown``: the host does not answer.
    :ivar power_state: nova's number of the state.
    :ivar migrating: whether a migration to or from another host has paused the domain.
    :ivar host: the ``host`` option of the compute host that was asked; it is not read from the answer.
    """

    uuid: Annotated[str, fields.uuid]
    name: Annotated[str, fields.text]
    project_id: Annotated[str | None, fields.usable_text] = None
    project_name: Annotated[str | None, fields.usable_text] = None
    user_id: Annotated[str | None, fields.usable_text] = None
    user_name: Annotated[str | None, fields.usable_text] = None
    created: Annotated[str | None, fields.usable_text] = None
    # Larger numbers would not fit into the id of a flavor, which the API makes from these two fields.
    vcpus: Annotated[int, _number(999_999)] = 0
    memory_mb: Annotated[int, _number(999_999_999_999)] = 0
    state: Annotated[str, fields.short_text]
    power_state: Annotated[int, _number(99)] = 0
    migrating: Annotated[bool, lambda value: value is True] = False
    host: Annotated[str, LOCAL] = ""

    @property
    def is_active(self) -> bool:
        """Whether the domain is active in libvirt (running or paused, for example), and not paused by a migration."""
        return self.state not in _INACTIVE and not self.migrating

    @property
    def project(self) -> str | None:
        """The id of the project, or else its name; None: the host reported neither."""
        return self.project_id or self.project_name

    def belongs_to(self, project: str | None) -> bool:
        """Return whether ``project`` is the id or the name of the server's project."""
        return project is not None and project in (self.project_id, self.project_name)

    def as_unknown(self) -> Self:
        """Return a copy in the state "unknown", because the host of the server does not answer."""
        return replace(self, state=UNKNOWN, power_state=0, migrating=False)
