"""Deadlines for the clients of every port, in seconds."""

from typing import Final

PROXY_HEADER: Final = 5.0
"""From accept until the PROXY header is complete."""

TLS: Final = 5.0
"""From accept until the first byte of TLS, on a port that accepts only TLS; then once more for the handshake."""

HEAD: Final = 10.0
"""For the head of an HTTP request: from accept, from the end of the TLS handshake, or from the last response."""
