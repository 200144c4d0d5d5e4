"""Forks processes of one kind whose modules are imported already: ``fork_server.py KIND CONTROL``.

The imports of a twistd take 0.3 s of processor time, and those of openstack 0.7 s.  The suite starts hundreds of
them.  This program imports once, and forks for each start; the child then runs the script.  Its client is
`tests.support.forked`.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

FILES = 4
"""The files of a request: standard input, output and error, and the socket for the reports about the child."""

# They must not import the reactor: it opens files, which the children would share.
IMPORTED = {
    "twistd": (
        *("twisted.scripts.twistd", "twisted.internet.epollreactor", "twisted.web.client", "twisted.conch.ssh.keys"),
        *("twisted.plugins.novnc_twisted_plugin", "twisted.plugins.autobahn_twistd", "autobahn.twisted.websocket"),
        *("novnc_twisted.service.make_service", "novnc_twisted.service.command", "novnc_twisted.service.builders"),
        *("novnc_twisted.service.proxy_builders", "novnc_twisted.service.workers", "novnc_twisted.consoleauth"),
        *("novnc_twisted.compute", "novnc_twisted.api.site", "novnc_twisted.identity", "novnc_twisted.session.live"),
        *("novnc_twisted.novncproxy.factory", "novnc_twisted.novncproxy.page", "novnc_twisted.xvpvncproxy.factory"),
    ),
    "clients": (
        *("novaclient.shell", "novaclient.v2.shell", "novaclient.v2.client", "openstackclient.shell"),
        *("openstackclient.compute.client", "openstackclient.compute.v2.console", "openstackclient.compute.v2.server"),
        *("openstackclient.compute.v2.console_connection", "openstackclient.compute.v2.service"),
        *("openstackclient.identity.client", "openstackclient.image.client", "openstackclient.network.client"),
        *("openstackclient.volume.client", "openstackclient.object.client", "openstackclient.identity.v3.token"),
        *("openstack.connection", "openstack.compute.v2._proxy", "openstack.image.v2._proxy", "prettytable"),
    ),
}
SCRIPTS = {
    "twistd": ("twisted.scripts.twistd", "run"),
    "openstack": ("openstackclient.shell", "main"),
    "nova": ("novaclient.shell", "main"),
}
"""The function that each script calls."""


def prepare(kind: str) -> None:
    """Import what the processes of this kind need."""
    sys.path[0] = str(Path(sys.executable).parent)  # as for a script
    for name in IMPORTED[kind]:
        importlib.import_module(name)
    if kind == "clients":
        # This fills a cache: openstack takes 0.3 s to find out which distribution each module belongs to.
        importlib.import_module("cliff.command")._get_distributions_by_modules()
    if "twisted.internet.reactor" in sys.modules:
        raise RuntimeError("a module that is imported before the fork imports the reactor")
    gc.collect()
    gc.freeze()


def serve(control: socket.socket) -> Callable[[], object] | None:
    """Fork for each request, and report the children; in each child, return the function to call.

    Returns None when the tests have ended.
    """
    # At SIGCHLD, Python writes to this socket pair.
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    selector = DefaultSelector()
    selector.register(control, EVENT_READ)
    selector.register(woken, EVENT_READ)
    reports: dict[int, socket.socket] = {}
    while True:
        ready = [key.fileobj for key, _ in selector.select()]
        if woken in ready:
            woken.recv(4096)
            _report_ended(reports)
        if control in ready:
            data, files, _, _ = socket.recv_fds(control, 1 << 20, FILES)
            if not data:
                return None
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                # Garbage collection would close them later, when a file of the script may have the same number.
                for one in (selector, control, woken, wakes, *reports.values()):
                    one.close()
                return _become(json.loads(data), files)
            report = reports[pid] = socket.socket(fileno=files[3])
            for file in files[:3]:
                os.close(file)
            report.sendall(b"%d\n" % pid)


def _report_ended(reports: dict[int, socket.socket]) -> None:
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with reports.pop(pid) as report:
            report.sendall(b"%d\n" % status)


def _become(request: dict[str, object], files: list[int]) -> Callable[[], object]:
    """Become the script, with its imports done; return the function to call."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # The objects sys.stdin, sys.stdout and sys.stderr use these numbers, so they remain.
    for number in range(3):
        os.dup2(files[number], number)
    os.closerange(3, 1024)
    os.chdir(str(request["folder"]))
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    if request["customize"]:
        runpy.run_path(str(request["customize"]))
    program, *arguments = request["command"]  # type: ignore[misc]
    sys.argv = [program, *arguments]
    module, name = SCRIPTS[Path(program).name]
    function = getattr(importlib.import_module(module), name)
    # nova's function reads sys.argv when its module is imported, unless it gets the arguments.
    return function if name == "run" else partial(function, arguments)


def main() -> None:
    """Serve; in a child, run its script."""
    prepare(sys.argv[1])
    run = serve(socket.socket(fileno=int(sys.argv[2])))
    if run is not None:
        sys.exit(run())  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
