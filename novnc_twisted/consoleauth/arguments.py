"""Checks of arguments that several methods of consoleauth have in common.

Each function returns the argument, or raises ServiceUnavailable with the argument's name.
"""

from typing import Any

from novnc_twisted.contract import fields
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import ServiceUnavailable


def token_hash(value: Any) -> str:
    """Check the SHA-256 of a token."""
    return fields.argument("token_hash", value, fields.token_hash)


def client_address(value: Any) -> str:
    """Check the address of a proxy's client."""
    return fields.argument("client_address", value, fields.short_text)


def instance_uuid(value: Any) -> str:
    """Check the UUID of a server."""
    return fields.argument("instance_uuid", value, fields.uuid)


def proxy_topic(value: Any) -> str:
    """Check the topic of a proxy's worker; an error names it ``topic``, even if the argument has another name."""
    topic: str = fields.argument("topic", value, fields.short_text)
    if not topic.startswith(PROXY.prefix) or " " in topic:
        raise ServiceUnavailable("topic: not the topic of a proxy")
    return topic
