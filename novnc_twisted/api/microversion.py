"""Microversions: which version of the Compute API a request wants (nova's ``wsgi.py``, ``microversion_parse``)."""

import re
from typing import NamedTuple

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request

_FORM = re.compile(r"([1-9][0-9]{0,5})\.([1-9][0-9]{0,5}|0)", re.ASCII)


class Version(NamedTuple):
    """A version of the API, comparable."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


MINIMUM = Version(2, 1)
MAXIMUM = Version(2, 31)
"""2.6 brings remote-consoles, 2.31 os-console-auth-tokens; later ones want more of a server than a domain has."""


def requested(request: Request) -> Version:
    """The version that a request asks for; 2.1 where it asks for none.

    ``OpenStack-API-Version: compute X`` (which may name other services besides) goes before the older
    ``X-OpenStack-Nova-API-Version: X``.

    :raises HTTPError: 400 for what is no version, 406 for one that is not served.
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
    """What every answer under microversion control carries, faults too."""
    return (
        ("OpenStack-API-Version", f"compute {version}"),
        ("X-OpenStack-Nova-API-Version", str(version)),
        ("Vary", "OpenStack-API-Version"),
        ("Vary", "X-OpenStack-Nova-API-Version"),
    )
