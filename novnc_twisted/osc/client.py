"""A client of the console API, which sends its requests with a keystoneauth session."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from keystoneauth1.adapter import Adapter
from osc_lib import exceptions

# The end of a Compute endpoint, such as /v2.1 or /v2.1/PROJECT.
_VERSION = re.compile(r"/v[0-9]+(?:\.[0-9]+)?(?:/[^/]*)?/?\Z")


def endpoint_of(override: str | None, catalogue: str | None, compute: str | None) -> str:
    """Return the URL of the console API.

    :param override: OS_CONSOLE_ENDPOINT_OVERRIDE.
    :param catalogue: the endpoint of the service ``console`` in Keystone's catalog.  This endpoint is ignored if it
        does not contain ``/console/``: with auth type "none", keystoneauth returns OS_ENDPOINT as the endpoint of every
        service.
    :param compute: the endpoint of the Compute API.  If the other two arguments give no URL, the result is made from
        this endpoint.
    :raises CommandError: ``override`` does not contain ``/console/``, or there is no endpoint at all.
    """
    if override and "/console/" not in override:
        raise exceptions.CommandError(
            f"OS_CONSOLE_ENDPOINT_OVERRIDE is {override}, without /console/. "
            "Set it to the URL of the console API, such as http://controlnode:8774/console/v1."
        )
    for console in (override, catalogue):
        if console and "/console/" in console:
            return console.rstrip("/")
    if not compute:
        raise exceptions.CommandError(
            "There is no endpoint of the console API or of the Compute API. Set OS_CONSOLE_ENDPOINT_OVERRIDE."
        )
    return _VERSION.sub("", compute).rstrip("/") + "/console/v1"


class ConsoleClient:
    """Sends requests to the console API.

    :param session: a keystoneauth session.
    :param endpoint: the URL of the API, with its version.
    """

    def __init__(self, session: Any, endpoint: str) -> None:
        self._adapter = Adapter(session, service_type="console", endpoint_override=endpoint)

    def rows(self, path: str, filters: Mapping[str, Any], limit: int | None) -> Iterator[dict[str, Any]]:
        """Return the sessions, reading page after page.

        :param path: ``/sessions`` for sessions that are live or being set up, ``/history`` for ended sessions.
        :param filters: the query parameters; parameters with the value None are not sent.
        :param limit: maximum number of sessions; None: all.
        """
        left, marker = limit, None
        while left is None or left > 0:
            query = {**filters, "limit": left, "marker": marker}
            wanted = {name: value for name, value in query.items() if value is not None}
            page = self._ask("GET", path, params=wanted)
            yield from page["sessions"]
            marker = page["next"]
            if left is not None:
                left -= len(page["sessions"])
            if marker is None:
                return

    def show(self, session_id: str) -> dict[str, Any]:
        """Return a session."""
        return dict(self._ask("GET", f"/sessions/{session_id}")["session"])

    def end(self, session_id: str, reason: str | None) -> None:
        """End a session, and revoke its token.  All other sessions with this token end as well."""
        self._ask("DELETE", f"/sessions/{session_id}", params={} if reason is None else {"reason": reason})

    def set_mode(self, session_id: str, mode: str) -> None:
        """Change what the viewer of a session may do.  This applies to all sessions with the same token."""
        self._ask("PATCH", f"/sessions/{session_id}", json={"mode": mode})

    def send_keys(self, server_id: str, wanted: Mapping[str, Any]) -> None:
        """Type a text or press keys on a server; return when all keys were sent.

        :param wanted: the body of ``POST /servers/ID/keys``.
        """
        self._ask("POST", f"/servers/{server_id}/keys", json=wanted)

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        """Send a request; return the body of the response, or None if the body is empty.

        :raises CommandError: the API answered with an error, or the response is not JSON.  The text contains the HTTP
            status, and the API's message if there is one.
        """
        response = self._adapter.request(path, method, raise_exc=False, **more)
        try:
            body = response.json() if response.content else None
        except ValueError:  # something else answered, such as a reverse proxy with a page in HTML
            if response.status_code < 400:
                raise exceptions.CommandError(
                    f"The response is not JSON (HTTP {response.status_code}). Is this the console API?"
                ) from None
            body = None
        if response.status_code < 400:
            return body
        # nova's format of errors: {"itemNotFound": {"code": 404, "message": "..."}}
        faults = [fault for fault in body.values() if isinstance(fault, dict)] if isinstance(body, dict) else []
        sentence = (faults[0].get("message") if faults else None) or response.reason
        raise exceptions.CommandError(f"{sentence} (HTTP {response.status_code})")
