"""Security type None (RFC 6143, section 7.2.1)."""

from novnc_twisted.rfb.handshake import Handshake


def no_authentication() -> Handshake[None]:
    """Exchange nothing between the choice of the type and SecurityResult."""
    yield from ()
