"""What compute hosts say, judged before it is used: a host speaks for itself alone, and in the form that was agreed."""

from typing import Any

from twisted.logger import Logger

from novnc_twisted.access import fields
from novnc_twisted.errors import ServiceUnavailable

MAX_NAME = 255
_log = Logger()
_NUMBERS = {"power_state": 99, "vcpus": 999_999, "memory_mb": 999_999_999_999}  # what the id of a flavor has room for
_TEXTS = ("project_id", "project_name", "user_id", "user_name", "created")


def instance(host: str, answer: Any) -> dict[str, Any]:
    """An instance as a host tells of it; its ``host`` is the one that was asked, whatever it says.

    :raises ServiceUnavailable: a field can't be used; the detail names it.
    """
    values = _object(host, answer)
    found: dict[str, Any] = {"uuid": fields.uuid("uuid", values.get("uuid"))}
    found["name"] = fields.text("name", values.get("name"))
    found["state"] = fields.text("state", values.get("state"), MAX_NAME)
    for name, most in _NUMBERS.items():
        value = values.get(name)
        if type(value) is not int or not 0 <= value <= most:
            raise ServiceUnavailable(f"{name} is not a number")
        found[name] = value
    for name in _TEXTS:
        value = values.get(name)
        found[name] = None if value == "" else fields.optional_text(name, value)
    return {**found, "migrating": values.get("migrating") is True, "host": host}


def instances(host: str, answer: Any) -> list[dict[str, Any]]:
    """A host's whole list; what can't be used of it is left out, and named in the log."""
    told = _object(host, answer).get("instances")
    if not isinstance(told, list):
        raise ServiceUnavailable(f"{host} gave no list")
    found, wrong = [], ""
    for one in told:
        try:
            found.append(instance(host, one))
        except ServiceUnavailable as error:
            wrong = error.detail
    if wrong:
        _log.warn(
            "compute host {host}: {count} of its servers can't be listed: {wrong}",
            host=host,
            count=len(told) - len(found),
            wrong=wrong,
        )
    return found


def console(host: str, instance_uuid: str, answer: Any) -> dict[str, Any]:
    """A new console as a host tells of it: of the instance that was asked for, on the host that was asked.

    :raises ServiceUnavailable: a field can't be used; the detail names it.
    """
    values = _object(host, answer)
    return {
        "token": fields.text("token", values.get("token"), 256),
        "access_url": fields.text("access_url", values.get("access_url"), 4096),
        "console_type": fields.text("console_type", values.get("console_type"), MAX_NAME),
        "host": fields.text("host", values.get("host"), MAX_NAME),
        "port": fields.port("port", values.get("port")),
        "socket": fields.optional_text("socket", values.get("socket")),
        "internal_access_path": fields.optional_text("internal_access_path", values.get("internal_access_path")),
        "instance_uuid": instance_uuid,
        "name": fields.text("name", values.get("name")),
        "compute_host": host,
    }


def _object(host: str, answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise ServiceUnavailable(f"{host} gave no object")
    return answer
