"""Checks of the arguments that several methods of a compute host take."""

from typing import Any

from novnc_twisted.contract import fields
from novnc_twisted.errors import InstanceNotFound


def instance_uuid(value: Any) -> str:
    """Check the UUID of a server, and return it in lower case.

    :raises InstanceNotFound: the value is not a UUID.
    """
    if not fields.is_uuid(value):
        raise InstanceNotFound("not a UUID")
    return str(value).lower()
