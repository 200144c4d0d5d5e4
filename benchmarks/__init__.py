"""What the console proxies cost beside what an operator could run instead: ``make bench``, ``python -m benchmarks``.

All proxies run at once on loopback, between one load generator that speaks RFB as a viewer does and one that speaks it
as a VNC server does (``wsload.c``); each round visits every one of them, so that a noisy neighbour hits all alike.
"""
