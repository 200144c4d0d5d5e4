"""What compute hosts say, judged before it is used: a host speaks for itself alone, and in the form that was agreed."""

from dataclasses import replace
from typing import Any

from twisted.logger import Logger

from novnc_twisted.access.display import one_line
from novnc_twisted.contract import fields
from novnc_twisted.contract.console import Console
from novnc_twisted.contract.record import read
from novnc_twisted.errors import ServiceUnavailable

UNKNOWN = "unknown"
"""The state of an instance whose host does not answer; no hypervisor gives it."""

_log = Logger()
_NUMBERS = {"power_state": 99, "vcpus": 999_999, "memory_mb": 999_999_999_999}  # what the id of a flavor has room for
_MAX_NAMED = 10
_TEXTS = ("project_id", "project_name", "user_id", "user_name", "created")


def instance(host: str, answer: Any) -> dict[str, Any]:
    """An instance as a host describes it; its ``host`` is the one that was asked, whatever the answer says.

    An optional text that cannot be used is None, and a number that cannot be used is 0: no server is lost by them.

    :raises ServiceUnavailable: uuid, name or state cannot be used; the detail names the field.
    """
    values = _object(host, answer)
    found: dict[str, Any] = {"uuid": fields.argument("uuid", values.get("uuid"), fields.uuid)}
    found["name"] = fields.argument("name", values.get("name"), fields.text)
    found["state"] = fields.argument("state", values.get("state"), fields.short_text)
    for name, most in _NUMBERS.items():
        value = values.get(name)
        found[name] = value if type(value) is int and 0 <= value <= most else 0
    for name in _TEXTS:
        found[name] = fields.usable_text(values.get(name))
    return {**found, "migrating": values.get("migrating") is True, "host": host}


def instances(host: str, answer: Any) -> list[dict[str, Any]]:
    """A host's list; an entry that cannot be used is left out, and a warning names it."""
    told = _object(host, answer).get("instances")
    if not isinstance(told, list):
        raise ServiceUnavailable(f"{host} gave no list")
    found, wrong = [], []
    for one in told:
        try:
            found.append(instance(host, one))
        except ServiceUnavailable as error:
            wrong.append(f"{_label(one)}: {error.detail}")
    if wrong:
        _log.warn(
            "compute host {host}: {count} of its servers can't be listed: {wrong}",
            host=host,
            count=len(wrong),
            wrong="; ".join(wrong[:_MAX_NAMED]),
        )
    return found


def _label(answer: Any) -> str:
    """The name and the UUID of an instance that cannot be used, for the log."""
    if not isinstance(answer, dict):
        return "an entry that is not an object"
    return " ".join(one_line(str(answer.get(field))[:1000]) for field in ("name", "uuid"))


def page(host: str, answer: Any) -> tuple[list[dict[str, Any]], str]:
    """A part of a host's list, and where the next one begins; empty: this was the last one."""
    found = instances(host, answer)
    last = answer["instances"][-1] if answer.get("more") is True and answer["instances"] else None
    return found, fields.argument("uuid", last.get("uuid"), fields.uuid) if isinstance(last, dict) else ""


def unknown(published: dict[str, Any]) -> dict[str, Any]:
    """Return an instance of a host that can't be asked now: as the host published it, but in an unknown state."""
    return {**published, "state": UNKNOWN, "power_state": 0, "migrating": False}


def console(host: str, instance_uuid: str, answer: Any) -> Console:
    """Read a new console: of the instance and the host that were asked, whatever the answer says about them.

    :raises ServiceUnavailable: the answer cannot be used; the detail names the field.
    """
    found = read(Console, answer, f"compute host {host}")
    info = replace(found.connect_info, instance_uuid=instance_uuid, compute_host=host, user_id=None, project_id=None)
    return replace(found, connect_info=info)


def _object(host: str, answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise ServiceUnavailable(f"{host} gave no object")
    return answer
