"""keystoneauth1's session with protection against a deadlock, and with limits for answers."""

import threading
from typing import Any, Final

from keystoneauth1 import exceptions
from keystoneauth1.loading.session import Session as _Loader
from keystoneauth1.session import Session

from novnc_twisted.keystone.bounded import BoundedAdapter

LOGIN_TIMEOUT: Final = 20.0
"""Seconds to connect to Keystone, and to wait for the next part of its answer, if the option ``timeout`` is not set.

A log-in holds a lock of keystoneauth1, and all other requests wait for this lock.  Without a limit, a Keystone that
hangs would block all requests of this process.  The limit is longer than the deadline of the request that needs the
log-in.  If Keystone is slow, that request fails, but the log-in continues in its thread, and later requests can use the
token.
"""


class NonReentrantSession(Session):
    """A session in which a thread that is logging in cannot begin a second log-in.

    keystoneauth1 requests Keystone's version document without a token.  If the answer is a 401, keystoneauth1 wants to
    repeat the request with a token.  To get the token, it waits for a lock that the same thread already holds.  This
    deadlock also blocks all later requests (seen with keystoneauth1 5.18.1 and an ``auth_url`` that answers 401).
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.timeout is None:
            self.timeout = LOGIN_TIMEOUT
        self._logging_in = threading.local()
        for prefix, adapter in list(self.session.adapters.items()):
            self.session.mount(prefix, BoundedAdapter(adapter))

    def get_auth_headers(self, auth: Any = None, **options: Any) -> Any:
        """See Session.

        :raises DiscoveryFailure: this thread is logging in already.
        """
        if getattr(self._logging_in, "now", False):
            raise exceptions.DiscoveryFailure("the version document of Keystone needs a token")
        self._logging_in.now = True
        try:
            return super().get_auth_headers(auth, **options)
        finally:
            self._logging_in.now = False


class SessionLoader(_Loader):
    """Makes a :class:`NonReentrantSession` from a section of a configuration file."""

    plugin_class = NonReentrantSession
