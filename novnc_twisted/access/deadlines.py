"""Deadlines for the clients of every port, in seconds."""

from typing import Final

PROXY_HEADER: Final = 5.0
"""From accept until the PROXY header is complete."""

TLS: Final = 5.0
"""For a TLS handshake: from its first byte (proxies), from accept (HTTP server), or from its start (to a VNC server).

On a proxy's port that accepts only TLS, the first byte must also arrive within this time after accept.
"""

HEAD: Final = 10.0
"""For the head of an HTTP request: from accept, from the end of the TLS handshake, or from the last response."""
