"""The costs of the console proxies and of their alternatives: ``make bench``, ``python -m benchmarks``.

All proxies run at once on loopback, between one load generator that speaks RFB as a viewer does and one that speaks it
as a VNC server does (``wsload.c``).  Each round measures every proxy, so that other load affects all alike.
"""
