"""Reads the answers of compute hosts.  The compute host in a result is always the host that was asked."""

from dataclasses import replace
from typing import Any, Final

from twisted.logger import Logger

from novnc_twisted.access.display import one_line
from novnc_twisted.contract import fields
from novnc_twisted.contract.console import Console
from novnc_twisted.contract.instance import Instance
from novnc_twisted.contract.record import read
from novnc_twisted.errors import ServiceUnavailable

_log = Logger()
_MAX_NAMED = 10

MAX_LISTED: Final = 10_000
"""Maximum number of servers in one page of a host's list.

Only a faulty host exceeds it: a host puts fewer than 3,000 servers into one page (:mod:`.instance_pages`), but a
message of 1 MiB has room for 500,000 invalid entries.
"""


def instance(host: str, answer: Any) -> Instance:
    """Read a server.

    :raises ServiceUnavailable: the uuid, the name or the state is invalid; the detail names the field.
    """
    return read(Instance, answer, f"compute host {host}", host=host)


def instances(host: str, answer: Any) -> list[Instance]:
    """Read a list of servers; invalid entries are logged and left out."""
    entries = answer.get("instances") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise ServiceUnavailable(f"compute host {host}: not a list of servers")
    if len(entries) > MAX_LISTED:
        raise ServiceUnavailable(f"compute host {host}: more than {MAX_LISTED} servers in one page")
    found, wrong = [], []
    for entry in entries:
        try:
            found.append(Instance.from_wire(entry, host=host))
        except ValueError as error:
            wrong.append(f"{_label(entry)}: {error}")
    if wrong:
        _log.warn(
            "compute host {host}: {count} of its servers can't be listed: {wrong}",
            host=host,
            count=len(wrong),
            wrong="; ".join(wrong[:_MAX_NAMED]),
        )
    return found


def _label(answer: Any) -> str:
    """Return the name and the UUID of an invalid entry, for the log."""
    if not isinstance(answer, dict):
        return "an entry that is not an object"
    return " ".join(one_line(str(answer.get(field))[:1000]) for field in ("name", "uuid"))


def page(host: str, answer: Any) -> tuple[list[Instance], str]:
    """Read a page of a host's list; return the page's servers and last UUID (empty if no further page follows).

    :raises ServiceUnavailable: the answer has no list, or the list is too long.  Or a further page follows, but no
        entry of this page has a UUID from which the next page could begin.
    """
    found = instances(host, answer)
    if answer.get("more") is not True:
        return found, ""
    # Not from ``found``: an entry that was left out, for example because of its name, may still have a valid UUID.
    uuids = (one.get("uuid") for one in reversed(answer["instances"]) if isinstance(one, dict))
    last = next((one for one in uuids if fields.is_uuid(one)), None)
    if last is None:
        raise ServiceUnavailable(f"compute host {host}: a page without a valid server, and another page follows")
    return found, fields.uuid(last)


def console(host: str, instance_uuid: str, answer: Any) -> Console:
    """Read a new console.  Its ``instance_uuid`` and ``compute_host`` are those of the call, not of the answer.

    Its user and project are None, whatever the host answers.  The code that calls this function must add them.

    :raises ServiceUnavailable: the answer is invalid; the detail names the field.
    """
    found = read(Console, answer, f"compute host {host}")
    # An attacker with the stolen credential of one compute host must not be able to make links to servers of other
    # hosts.
    info = replace(found.connect_info, instance_uuid=instance_uuid, compute_host=host, user_id=None, project_id=None)
    return replace(found, connect_info=info)
