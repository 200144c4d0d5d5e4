"""Requests to one OpenStack service, authenticated by Keystone."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from keystoneauth1 import exceptions
from twisted.internet.defer import Deferred

from novnc_twisted.access import strict_json
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.keystone.bounded import CONNECTIONS, UnusableAnswer
from novnc_twisted.keystone.threads import ThreadedCalls

TIMEOUT: Final = 4.0
"""Maximum number of seconds for connecting.  A wait for the next part of an answer has the same limit."""

_SERVER: Final = re.compile(r"https?://[A-Za-z0-9.\[\]:-]*[A-Za-z0-9.\]](?=/|:?\s|$)")

# These libraries log the URLs of requests, which contain console tokens.
for _name in ("keystoneauth", "urllib3"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a service.

    :ivar status: the HTTP status.
    :ivar body: the decoded JSON; None if the body is not JSON.
    :ivar token: the header field X-Subject-Token, in which Keystone sends a new token; empty if the field is missing.
    """

    status: int
    body: Any
    token: str = field(default="", repr=False)


class KeystoneClient:
    """Sends requests to one service.

    keystoneauth1 gets a token from Keystone, and uses this token until shortly before it expires.  After a 401,
    keystoneauth1 gets a new token, and repeats the request once.  Connections are kept alive.

    :param reactor: IReactorFromThreads.
    :param adapter: a ``keystoneauth1.adapter.Adapter`` for the service.  Its auth plug-in has the credentials.
    :param service: the name of the service for errors: ``nova`` or ``Keystone``.
    :param credentials: where the credentials are configured (``[service_user]``), for errors.
    :param threads: maximum number of concurrent requests.
    """

    def __init__(
        self, reactor: Any, adapter: Any, *, service: str, credentials: str, threads: int = CONNECTIONS
    ) -> None:
        self._adapter = adapter
        self._service = service
        self._credentials = credentials
        self._calls = ThreadedCalls(reactor, service, threads)

    def start(self) -> None:
        """Begin to accept requests."""
        self._calls.start()

    def stop(self) -> None:
        """Accept no further request."""
        self._calls.stop()

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        authenticated: bool = True,
    ) -> "Deferred[Answer]":
        """Send a request to a path below the service's endpoint.

        Fails with ServiceUnavailable if Keystone or the service does not answer or sends an unusable answer, if
        Keystone refuses our credentials, or if the request cannot be sent.  The detail gives the reason, and contains
        neither the path nor a secret.

        An answer with an error status is an :class:`Answer` like any other.

        :param headers: further header fields.
        :param authenticated: whether to send our own token; False for a request with a user's password or token.
        """
        return self._calls.run(lambda: self._send(method, path, json, headers or {}, authenticated))

    def _send(
        self, method: str, path: str, json: Mapping[str, Any] | None, headers: Mapping[str, str], authenticated: bool
    ) -> Answer:
        """Send a request; runs in a thread."""
        try:
            response = self._adapter.request(
                path,
                method,
                json=json,
                raise_exc=False,
                # A redirect could send our token to another host.
                redirect=False,
                log=False,
                # No retries: callers usually wait for 5 s, which is too short for a second attempt after TIMEOUT.
                connect_retries=0,
                status_code_retries=0,
                timeout=TIMEOUT,
                headers={"Accept": "application/json", **headers},
                authenticated=authenticated,
            )
        except Exception as error:
            raise ServiceUnavailable(self._reason(error)) from None
        try:
            body = strict_json.loads(response.content)  # requests' json() raises RecursionError for deep nesting
        except ValueError:
            body = None
        return Answer(response.status_code, body, response.headers.get("X-Subject-Token", ""))

    def _reason(self, error: BaseException) -> str:
        """Return why a request failed, in one clause.

        The text of a library's error may contain a token, so only the server's address is taken from this text.
        """
        if isinstance(error, exceptions.DiscoveryFailure):
            # If keystoneauth1 can't connect to Keystone to find the API version, DiscoveryFailure hides the reason.
            error = _cause(error, exceptions.ConnectionError) or error
        found = _SERVER.search(str(error))
        server = found[0] if found else self._service
        if isinstance(error, exceptions.Unauthorized):
            return f"Keystone refuses the credentials of {self._credentials}"
        if isinstance(error, exceptions.EndpointNotFound) and self._service == "Keystone":
            return f"auth_url of {self._credentials} has no Identity API v3"
        if isinstance(error, exceptions.EndpointNotFound | exceptions.CatalogException):
            return (
                f"Keystone's catalog has no endpoint of {self._service} that matches region_name and "
                f"valid_interfaces of {self._credentials}"
            )
        if isinstance(error, exceptions.SSLError):
            return f"the TLS certificate of {server} cannot be verified (cafile of {self._credentials})"
        if (unusable := _cause(error, UnusableAnswer)) is not None:
            return f"{server} {unusable}"
        if isinstance(error, exceptions.ConnectionError):  # a time-out is also a ConnectionError
            return f"{server} does not answer"
        if isinstance(error, exceptions.DiscoveryFailure):
            return f"auth_url of {self._credentials} does not lead to a Keystone"
        if isinstance(error, exceptions.HttpError):
            return f"{server} answers with HTTP status {error.http_status}"
        return f"a request to {self._service} failed: {type(error).__name__}"


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """Return the first error of this kind among an error and the errors that caused it, or None."""
    while error is not None and not isinstance(error, kind):
        error = error.__context__
    return error
