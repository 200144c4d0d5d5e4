"""Security types that we can log in to a VNC server with, by the names of ``[vnc] auth_schemes``.

A type that is not here is skipped where a server lists it.  Tight (16) is left out with intent: choosing it makes the
server append capability lists to ServerInit.
"""

from collections.abc import Callable

from novnc_twisted.rfb.constants import SecurityType
from novnc_twisted.rfb.security.none import no_authentication
from novnc_twisted.rfb.security.vnc import vnc_authentication
from novnc_twisted.rfb.talk import Talk

SCHEMES: dict[str, tuple[SecurityType, Callable[[], Talk[None]]]] = {
    "none": (SecurityType.NONE, no_authentication),
    "vnc": (SecurityType.VNC, vnc_authentication),
}
"""Name of the scheme -> its number, and the talk between the choice of the type and SecurityResult."""
