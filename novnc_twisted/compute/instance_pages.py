"""Converts domains for the other services, and divides them into pages, each of which fits into one message."""

from collections.abc import Iterable
from typing import Any

from novnc_twisted.compute.domain_xml import Domain
from novnc_twisted.contract.instance import Instance
from novnc_twisted.messaging.wire import MAX_MESSAGE

_PAGE = MAX_MESSAGE * 3 // 4
"""Maximum size of the domains of one page, in bytes as estimated by :func:`_size`."""


def instance_of(domain: Domain, host: str) -> Instance:
    """Return the :class:`Instance` for a domain of this host."""
    return Instance(**{name: getattr(domain, name) for name in Instance.wire_names()}, host=host)


def page(domains: Iterable[Domain], host: str, after: str) -> dict[str, Any]:
    """Return, as ``instances``, the next domains after ``after`` in the order of their UUIDs.

    ``more`` says whether further domains follow, which did not fit into this page.

    :param after: the last UUID of the previous page; empty for the first page.
    """
    found: list[dict[str, Any]] = []
    room = _PAGE
    for domain in sorted(domains, key=lambda domain: domain.uuid):
        if domain.uuid <= after:
            continue
        instance = instance_of(domain, host).to_wire()
        room -= _size(instance)
        # At least one domain per page, so that every page makes progress.
        if room < 0 and found:
            return {"instances": found, "more": True}
        found.append(instance)
    return {"instances": found, "more": False}


def _size(instance: dict[str, Any]) -> int:
    """Estimate the bytes of an instance as JSON in UTF-8, in which a character beyond ASCII takes up to 4 bytes."""
    # 300 bytes are for the field names, numbers and punctuation.
    texts = [value for value in instance.values() if isinstance(value, str)]
    return 300 + sum(len(text) if text.isascii() else 4 * len(text) for text in texts)
