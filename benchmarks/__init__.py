"""What the console proxies cost beside what an operator could run instead: ``make bench``, ``python -m benchmarks``.

All proxies run at once on loopback, between one load generator that speaks RFB as a viewer does and one that speaks it
as a VNC server does (``wsload.c``).  Each round measures every proxy, so that a noisy neighbour affects all alike.
"""
