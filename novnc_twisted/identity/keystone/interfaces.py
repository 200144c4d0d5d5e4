"""The interface to Keystone, as log-ins and the validation of tokens use it."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred

DEADLINE: Final = 5.0
"""Maximum number of seconds that Keystone's answer to one request may take."""


class IKeystone(Protocol):
    """The part of :class:`novnc_twisted.keystone.KeystoneClient` that this package calls."""

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = ...,
        headers: Mapping[str, str] | None = ...,
        authenticated: bool = ...,
    ) -> "Deferred[Any]":
        """Send a request; return its answer (``status``, ``body``, ``token``), or fail with ServiceUnavailable.

        :param authenticated: whether to send our own token; see :meth:`.KeystoneClient.request`.
        """
        ...
