"""The backend ``nova``: nova's API checks the tokens, and the proxy calls it with credentials for Keystone."""

import importlib.util
from typing import TYPE_CHECKING, Any, Final

from novnc_twisted.messaging.url import is_oslo_url
from novnc_twisted.service.exits import Unusable

if TYPE_CHECKING:
    from novnc_twisted.keystone import KeystoneClient

SECTIONS: Final = ("nova", "service_user", "keystone_authtoken")
"""The sections that may have credentials for Keystone.

The first one with an ``auth_type`` or an ``auth_section`` is used.
"""

SERVED_BY_NOVA: Final = "novncproxy"
"""The only command that can have this backend."""


def uses_nova(command: str, conf: Any) -> bool:
    """Return whether nova checks the tokens (``[consoleauth] backend``).

    To find the credentials, the function registers their options in ``conf``.

    :raises Unusable: the command cannot have this backend, or the credentials are missing, or the value of
        ``auth_section`` or ``auth_type`` cannot be used.
    """
    backend = conf.consoleauth.backend
    automatic = backend == "auto" and is_oslo_url(conf.transport_url) and command == SERVED_BY_NOVA
    if backend != "nova" and not automatic:
        return False
    if command != SERVED_BY_NOVA:
        raise Unusable(
            f"[consoleauth] backend: nova needs only twistd {SERVED_BY_NOVA}; {command} cannot be used with nova"
        )
    if _section(conf) is not None:
        return True
    needed = (
        "set auth_type, auth_url and the other log-in options in [nova] (or in [service_user] or [keystone_authtoken], "
        "which nova itself uses)"
    )
    if automatic:
        raise Unusable(
            "transport_url: with a bus of oslo.messaging, nova checks the tokens, and the proxy needs credentials for "
            f"this; {needed}, or set transport_url to redis://, rediss://, redis+unix:// or redis+sentinel:// in a "
            "later --config-file"
        )
    raise Unusable(f"[consoleauth] backend: nova needs credentials for Keystone; {needed}")


def check(command: str, reactor: Any, conf: Any) -> None:
    """Read the credentials, if nova checks the tokens.

    :raises Unusable: as for :func:`uses_nova` and :func:`make_client`.
    """
    if uses_nova(command, conf):
        make_client(reactor, conf)


def make_client(reactor: Any, conf: Any) -> "KeystoneClient":
    """Make the client for nova's API, without contacting nova or Keystone.

    :raises Unusable: the credentials cannot be used, or an extra is not installed; the text is one line that names the
        option or the extra.
    """
    if importlib.util.find_spec("keystoneauth1") is None:
        raise Unusable(
            "[consoleauth] backend: nova needs the extra [openstack]: pip install 'novnc-twisted[openstack]'"
        )
    from keystoneauth1 import adapter

    from novnc_twisted.keystone import KeystoneClient
    from novnc_twisted.service import keystone_options

    section = _section(conf)
    assert section is not None, "uses_nova() was asked before"
    session = keystone_options.load(conf, section)
    nova = adapter.Adapter(
        session,
        service_type="compute",
        interface=conf[section].valid_interfaces or ["internal", "public"],
        region_name=conf[section].region_name,
        endpoint_override=conf[section].endpoint_override,
        default_microversion="2.31",
    )
    return KeystoneClient(reactor, nova, service="nova", credentials=f"[{section}]")


def base_url(conf: Any) -> str | None:
    """Return ``novncproxy_base_url``; None if it is not set.

    nova reads the option on compute hosts only.  Therefore, deployments such as kolla do not set it for the proxy, and
    its default would be the wrong URL there.
    """
    location = conf.get_location("novncproxy_base_url", "vnc")
    by_default = location is None or location.location.name in ("opt_default", "set_default")
    return None if by_default else str(conf.vnc.novncproxy_base_url)


def _section(conf: Any) -> str | None:
    """Return the first section that has credentials, and register its options; None if no section has credentials.

    If keystoneauth1 is not installed, return the first of ``SECTIONS`` without checking it.

    :raises Unusable: the value of ``auth_section`` or ``auth_type`` cannot be used.
    """
    if importlib.util.find_spec("keystoneauth1") is None:
        return SECTIONS[0]  # make_client then raises the error about the missing package
    from novnc_twisted.service.keystone_options import has_credentials

    return next((section for section in SECTIONS if has_credentials(conf, section)), None)
