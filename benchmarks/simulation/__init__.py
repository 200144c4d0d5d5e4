"""A simulation of many compute hosts and sessions on a real Redis: ``python -m benchmarks.simulation``.

The real consoleauth and consoleapi run as ``twistd`` commands.  A few compute hosts and all proxy workers are real
objects on real connections.  Links and checks concern servers of these real hosts only.  The other compute hosts are
*idle hosts* (:mod:`.idle_hosts`): one process keeps their connections, and sends what a real host sends when nobody
uses it (:mod:`.host_commands`).
"""
