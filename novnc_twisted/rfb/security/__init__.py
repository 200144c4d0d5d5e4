"""The security types for the log-in to a VNC server, by their names in ``[vnc] auth_schemes``.

Other types in a server's list are ignored.  Tight (16) is left out on purpose: with it, the server would append
capability lists to ServerInit.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from novnc_twisted.rfb.constants import SecurityType
from novnc_twisted.rfb.handshake import Handshake
from novnc_twisted.rfb.security.none import no_authentication
from novnc_twisted.rfb.security.vencrypt import check_subtypes, vencrypt
from novnc_twisted.rfb.security.vnc import vnc_authentication

Authenticators: TypeAlias = dict[str, tuple[SecurityType, Callable[[], Handshake[None]]]]
"""Name of the scheme -> its security type, and the handshake between the choice of this type and SecurityResult."""

SCHEMES: Authenticators = {
    "none": (SecurityType.NONE, no_authentication),
    "vnc": (SecurityType.VNC, vnc_authentication),
    "vencrypt": (SecurityType.VENCRYPT, vencrypt),
}
"""All supported schemes."""


def authenticators(schemes: Sequence[str], subtypes: Sequence[str]) -> Authenticators:
    """Return the handshakes of some schemes, in the order of ``schemes``.

    :param subtypes: the sub-types of VeNCrypt, the preferred one first.
    :raises ValueError: a scheme is unknown; or ``vencrypt`` is among the schemes, and ``subtypes`` is empty or has an
        unknown name.
    """
    unknown = [name for name in schemes if name not in SCHEMES]
    if unknown:
        raise ValueError(f"unknown security schemes: {', '.join(unknown)}")
    chosen = {name: SCHEMES[name] for name in schemes}
    if "vencrypt" in chosen:
        chosen["vencrypt"] = SecurityType.VENCRYPT, partial(vencrypt, check_subtypes(subtypes))
    return chosen
