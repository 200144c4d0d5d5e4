"""A server as the API shows it, up to microversion 2.31 (nova's ``api/openstack/compute/views/servers.py``)."""

import hashlib
from typing import Any

from novnc_twisted.api.call import Call
from novnc_twisted.api.flavors import flavor_id
from novnc_twisted.contract.instance import UNKNOWN, Instance

_STATES = {
    "running": ("ACTIVE", "active"),
    "paused": ("PAUSED", "paused"),
    "suspended": ("SUSPENDED", "suspended"),
    # In libvirt, a domain in this state is being shut down, and still runs.
    "shutdown": ("ACTIVE", "active"),
    "shutoff": ("SHUTOFF", "stopped"),
    "saved": ("SUSPENDED", "suspended"),
    "crashed": ("ERROR", "error"),
}
"""Name of a state (:mod:`novnc_twisted.compute.states`) -> nova's status and vm_state."""


_UNKNOWN = ("UNKNOWN", "active")
"""nova's status and vm_state for all other states, among them that of a server whose host does not answer."""


def status_of(instance: Instance) -> str:
    """Return nova's status of a server."""
    return _state(instance)[0]


def vm_state_of(state: str) -> str:
    """Return nova's ``vm_state`` for the name of a state."""
    return _STATES.get(state, _UNKNOWN)[1]


def _state(instance: Instance) -> tuple[str, str]:
    return _STATES.get(instance.state, _UNKNOWN)


def brief(call: Call, instance: Instance) -> dict[str, Any]:
    """Return the fields of a server that the list without details shows."""
    path = f"servers/{instance.uuid}"
    return {
        "id": instance.uuid,
        "name": instance.name,
        "links": [call.link("self", path), call.link("bookmark", path)],
    }


def full(call: Call, instance: Instance) -> dict[str, Any]:
    """Return all details of a server.  Only administrators see its host, as in nova's default policy."""
    status, vm_state = _state(instance)
    project = instance.project or ""
    host = instance.host
    flavor = flavor_id(instance)
    server = brief(call, instance) | {
        "status": status,
        "tenant_id": project,
        "user_id": instance.user_id or instance.user_name or "",
        "metadata": {},
        # As in nova, this hash is equal for servers of one project on one host, and does not reveal the host's name.
        "hostId": hashlib.sha224(f"{project}{host}".encode()).hexdigest() if host else "",
        "image": "",
        "flavor": {"id": flavor, "links": [call.link("bookmark", f"flavors/{flavor}")]},
        "created": instance.created,
        "updated": instance.created,  # libvirt does not know when a domain last changed
        "addresses": {},
        "accessIPv4": "",
        "accessIPv6": "",
        "key_name": None,
        "config_drive": "",
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": "nova",
        "OS-EXT-STS:power_state": instance.power_state,
        "OS-EXT-STS:task_state": None,
        "OS-EXT-STS:vm_state": vm_state,
        "OS-SRV-USG:launched_at": None,
        "OS-SRV-USG:terminated_at": None,
        "os-extended-volumes:volumes_attached": [],
    }
    if status == "ACTIVE":
        server["progress"] = 0
    minor = call.version.minor
    if minor >= 9:
        server["locked"] = False
    if minor >= 19:
        server["description"] = None
    if minor >= 26:
        server["tags"] = []
    if call.caller.is_admin:
        server |= _for_admins(instance, host, minor)
    return server


def _for_admins(instance: Instance, host: str, minor: int) -> dict[str, Any]:
    prefix = "OS-EXT-SRV-ATTR:"
    more: dict[str, Any] = {
        f"{prefix}host": host,
        f"{prefix}hypervisor_hostname": host,
        f"{prefix}instance_name": instance.name,
    }
    if minor >= 3:
        more |= {
            f"{prefix}reservation_id": None,
            f"{prefix}launch_index": 0,
            f"{prefix}hostname": instance.name,
            f"{prefix}kernel_id": "",
            f"{prefix}ramdisk_id": "",
            f"{prefix}root_device_name": None,
            f"{prefix}user_data": None,
        }
    if minor >= 16:
        more["host_status"] = "UNKNOWN" if instance.state == UNKNOWN else "UP"
    return more
