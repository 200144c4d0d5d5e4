"""A call to the Compute API: a request with its caller and its API version."""

from dataclasses import dataclass
from typing import Any

from novnc_twisted.api.errors import policy_refused
from novnc_twisted.api.microversion import Version
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.identity.users import Caller


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the Compute API, and what its path and headers mean.

    :ivar caller: who makes the request.
    :ivar version: the microversion; requests below the path ``/v2`` have 2.1.
    :ivar legacy: whether the path is below ``/v2``.  There, unknown fields of a body are ignored.
    :ivar prefix: the path before the resource, such as ``/v2.1`` or ``/v2.1/PROJECT``.
    :ivar bookmark: the prefix without the version, for links that stay valid in later versions: empty or ``/PROJECT``.
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
        """Return a link to a resource of this API.

        :param rel: ``self``, ``next`` or ``bookmark``.
        :param path: the path of the resource below the prefix, without a leading slash.
        """
        prefix = self.bookmark if rel == "bookmark" else self.prefix
        return {"rel": rel, "href": f"{self.request.base_url}{prefix}/{path}"}

    def needs_admin(self, rule: str) -> None:
        """Check that the caller is an administrator.

        :param rule: nova's policy rule without ``os_compute_api:``.  The error names the whole rule.
        :raises HTTPError: 403.
        """
        if not self.caller.is_admin:
            raise policy_refused(f"os_compute_api:{rule}")

    def needs(self, version: Version) -> None:
        """Check that the call asks for at least the microversion that introduced a resource.

        :raises HTTPError: 404.
        """
        if self.version < version:
            raise HTTPError(404, "The resource could not be found.")
