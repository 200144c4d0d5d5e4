"""Deadlines in seconds: for the clients of every port, and for TLS with a VNC server."""

from typing import Final

PROXY_HEADER: Final = 5.0
"""From accept until the PROXY header is complete."""

TLS: Final = 5.0
"""For a TLS handshake: from its first byte (with a client), or from its start (with a VNC server).

On a port that accepts only TLS, the first byte must also arrive within this time after accept.  If a program
embeds the API and listens with Twisted's own TLS, the handshake with a client must end within this time after accept.
"""

HEAD: Final = 10.0
"""For the head of an HTTP request (proxies), or for a whole request (HTTP server).

The time begins:

* for the first request of a connection: at accept, or at the end of the TLS handshake.  On a plain connection to an
  HTTP server whose port also takes TLS or PROXY headers: with the first byte of the request.
* for a further request: after the previous response (proxies), or with the first byte of the request (HTTP server).
"""
