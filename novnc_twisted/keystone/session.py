"""keystoneauth1's session, without a way to wait for itself, and with bounds for answers."""

import threading
from typing import Any

from keystoneauth1 import exceptions
from keystoneauth1.loading.session import Session as _Loader
from keystoneauth1.session import Session

from novnc_twisted.keystone.bounded import BoundedAdapter


class NonReentrantSession(Session):
    """A session that refuses to log in while the same thread logs in.

    keystoneauth1 asks Keystone's version document without a token first, and with one if the answer is 401.  To get
    that token it waits for a lock that the same thread holds: for ever, and every later request waits behind it (seen
    with keystoneauth1 5.18.1 and an ``auth_url`` that answers 401).
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
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
