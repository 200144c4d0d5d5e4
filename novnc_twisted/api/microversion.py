"""Microversions: the version of the Compute API that a request asks for (nova's ``wsgi.py``)."""

import re
from typing import NamedTuple

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request

_FORM = re.compile(r"([1-9][0-9]{0,5})\.([1-9][0-9]{0,5}|0)", re.ASCII)


class Version(NamedTuple):
    """A version of the API; versions can be compared."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


MINIMUM = Version(2, 1)
MAXIMUM = Version(2, 31)
"""The latest supported version.

``remote-consoles`` needs 2.6.  ``os-console-auth-tokens`` needs 2.31: in earlier microversions, nova shows only tokens
of RDP consoles.  Versions after 2.31 are not supported, because they show fields of a server that libvirt's domains do
not have.
"""


def requested(request: Request) -> Version:
    """Return the version that a request asks for; 2.1 if it names none.

    ``OpenStack-API-Version: compute X`` has precedence over the older ``X-OpenStack-Nova-API-Version: X``.  The newer
    header may name versions of other services as well.

    :raises HTTPError: 400 for a malformed version; 406 for a version that is not supported.
    """
    wanted = None
    for header in request.headers.get("openstack-api-version", []):
        for item in header.split(","):
            service, _, text = item.strip().partition(" ")
            if service.lower() == "compute":
                wanted = text.strip()
    if wanted is None:
        wanted = request.headers.get("x-openstack-nova-api-version", [""])[-1].strip() or None
    if wanted is None:
        return MINIMUM
    if wanted == "latest":
        return MAXIMUM
    match = _FORM.fullmatch(wanted)
    if match is None:
        raise HTTPError(
            400,
            f"API Version String {wanted[:100]} is of invalid format. Must be of format MajorNum.MinorNum.",
        )
    version = Version(int(match[1]), int(match[2]))
    if not MINIMUM <= version <= MAXIMUM:
        raise HTTPError(
            406,
            f"Version {version} is not supported by the API. Minimum is {MINIMUM} and maximum is {MAXIMUM}.",
        )
    return version


def headers(version: Version) -> tuple[tuple[str, str], ...]:
    """Return the header fields that state the version, for responses and error responses."""
    return (
        ("OpenStack-API-Version", f"compute {version}"),
        ("X-OpenStack-Nova-API-Version", str(version)),
        ("Vary", "OpenStack-API-Version"),
        ("Vary", "X-OpenStack-Nova-API-Version"),
    )
