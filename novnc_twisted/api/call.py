"""A call to the Compute API: the request, its caller and the version that it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from novnc_twisted.api.errors import policy_refused
from novnc_twisted.api.microversion import Version
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.identity.users import Caller

Instance = Mapping[str, Any]
"""A domain as a compute host reports it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the Compute API, with what is known of it.

    :ivar version: the microversion; 2.1 at ``/v2``.
    :ivar legacy: at ``/v2``, where bodies are read leniently.
    :ivar prefix: the path before the resource, as ``/v2.1`` or ``/v2.1/PROJECT``.
    :ivar bookmark: the same without a version.
    """

    request: Request
    caller: Caller
    version: Version
    legacy: bool
    prefix: str
    bookmark: str

    def json(self) -> Any:
        """Return the value of the JSON body; see :meth:`novnc_twisted.http.request.Request.json`."""
        return self.request.json("application/vnd.openstack.compute+json")

    def link(self, rel: str, path: str) -> dict[str, str]:
        """A link to a resource of ours, as this user sees it."""
        prefix = self.bookmark if rel == "bookmark" else self.prefix
        return {"rel": rel, "href": f"{self.request.base_url}{prefix}/{path}"}

    def needs_admin(self, rule: str) -> None:
        """Let only admins go on.

        :raises HTTPError: 403, naming nova's policy rule.
        """
        if not self.caller.is_admin:
            raise policy_refused(f"os_compute_api:{rule}")

    def needs(self, version: Version) -> None:
        """A resource that is there from a microversion on.

        :raises HTTPError: 404.
        """
        if self.version < version:
            raise HTTPError(404, "The resource could not be found.")
