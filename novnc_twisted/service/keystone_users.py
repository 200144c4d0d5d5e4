"""Makes the API's authentication for ``auth_strategy = keystone``: Keystone validates the tokens that it has issued."""

import importlib.util
from typing import TYPE_CHECKING, Any, Final

from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.settings import lockout_settings

if TYPE_CHECKING:
    from novnc_twisted.identity.keystone.users import KeystoneUsers
    from novnc_twisted.keystone.client import KeystoneClient

SECTIONS: Final = ("keystone_authtoken", "nova", "service_user")
"""The sections that may have our credentials for Keystone.

The first one with an ``auth_type`` or an ``auth_section`` is used.
"""


def make(reactor: Any, conf: Any) -> "tuple[KeystoneUsers, KeystoneClient]":
    """Make the authentication and its client, without contacting Keystone.  The caller must start the client.

    :raises Unusable: the credentials are missing or cannot be used, or an extra is not installed; the text is one line
        that names the option or the extra.
    """
    section = _section(conf)
    from keystoneauth1 import adapter
    from keystoneauth1.plugin import AUTH_INTERFACE

    from novnc_twisted.identity.keystone.token import Roles
    from novnc_twisted.identity.keystone.users import KeystoneUsers
    from novnc_twisted.keystone.client import KeystoneClient
    from novnc_twisted.service import keystone_options

    session = keystone_options.load(conf, section)
    auth_url = getattr(session.auth, "auth_url", None)
    if not auth_url:
        raise Unusable(
            f"[{section}] auth_type: this type does not log in to a Keystone; use password or v3applicationcredential"
        )
    # AUTH_INTERFACE stands for the auth_url, which this machine must reach anyway, in order to log in.  Keystone's
    # address in the catalog may be unreachable from this machine.
    interface: Any = AUTH_INTERFACE
    keystone = adapter.Adapter(session, service_type="identity", interface=interface, version="3.0")
    client = KeystoneClient(reactor, keystone, service="Keystone", credentials=f"[{section}]")
    options, api = conf.keystone_authtoken, conf.api
    strategy = KeystoneUsers(
        reactor,
        client,
        identity_url=options.www_authenticate_uri or auth_url,
        credentials=f"[{section}]",
        roles=Roles.of(api.admin_roles, api.member_roles, api.reader_roles),
        cache_time=options.token_cache_time,
        service_type=options.service_type,
        lockout=lockout_settings(api),
    )
    return strategy, client


def _section(conf: Any) -> str:
    """Return the first section that has credentials, and register its options.

    :raises Unusable: no section has credentials, or keystoneauth1 is missing.
    """
    if importlib.util.find_spec("keystoneauth1") is None:
        raise Unusable(
            "[api] auth_strategy: keystone needs the extra [openstack]: pip install 'novnc-twisted[openstack]'"
        )
    from novnc_twisted.service.keystone_options import has_credentials

    for section in SECTIONS:
        if has_credentials(conf, section):
            return section
    raise Unusable(
        "[api] auth_strategy: keystone needs credentials for Keystone; set auth_type, auth_url and the other "
        "log-in options in [keystone_authtoken] (or in [nova] or [service_user])"
    )
