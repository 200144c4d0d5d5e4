"""Converts domains for the other services, and divides them into pages, each of which fits into one message."""

from collections.abc import Iterable
from typing import Any

from novnc_twisted.access import strict_json
from novnc_twisted.compute.domain_xml import Domain
from novnc_twisted.contract.instance import Instance
from novnc_twisted.messaging.wire import MAX_MESSAGE

_PAGE = MAX_MESSAGE * 3 // 4
"""Maximum size of the domains of one page, in bytes of JSON."""

_LEAST = 300
"""Number of bytes that a smaller domain counts as.

This limits the number of domains in a page (:data:`.replies.MAX_LISTED`).
"""


def instance_of(domain: Domain, host: str) -> Instance:
    """Return the :class:`Instance` for a domain of this host."""
    return Instance(**{name: getattr(domain, name) for name in Instance.wire_names()}, host=host)


def page(domains: Iterable[Domain], host: str, after: str) -> dict[str, Any]:
    """Return, as ``instances``, the next domains after ``after`` in the order of their UUIDs.

    ``more`` says whether further domains follow.

    :param after: the last UUID of the previous page; empty for the first page.
    """
    found: list[dict[str, Any]] = []
    room = _PAGE
    for domain in sorted(domains, key=lambda domain: domain.uuid):
        if domain.uuid <= after:
            continue
        instance = instance_of(domain, host).to_wire()
        room -= max(_LEAST, len(strict_json.dumps(instance)) + 1)  # 1 byte for the comma
        # At least one domain per page, so that every page makes progress.
        if room < 0 and found:
            return {"instances": found, "more": True}
        found.append(instance)
    return {"instances": found, "more": False}
