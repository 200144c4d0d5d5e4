"""The ``twistd`` commands.  Strings only: what a command needs is imported when it is run."""

from twisted.application.service import ServiceMaker

novncproxy = ServiceMaker(
    "novnc_twisted noVNC proxy",
    "novnc_twisted.service.novncproxy",
    "The noVNC WebSocket proxy and its page (nova-novncproxy).",
    "novncproxy",
)
xvpvncproxy = ServiceMaker(
    "novnc_twisted XVP proxy",
    "novnc_twisted.service.xvpvncproxy",
    "The proxy of the Java nova-xvpvncviewer (nova-xvpvncproxy).",
    "xvpvncproxy",
)
consoleauth = ServiceMaker(
    "novnc_twisted consoleauth",
    "novnc_twisted.service.consoleauth",
    "Keeps and checks console tokens (nova-consoleauth).",
    "consoleauth",
)
consolecompute = ServiceMaker(
    "novnc_twisted compute",
    "novnc_twisted.service.consolecompute",
    "Finds the consoles of this host's libvirt domains (nova-compute).",
    "consolecompute",
)
consoleapi = ServiceMaker(
    "novnc_twisted API",
    "novnc_twisted.service.consoleapi",
    "The Compute API for OpenStack's clients (nova-api).",
    "consoleapi",
)
console = ServiceMaker(
    "novnc_twisted console",
    "novnc_twisted.service.console",
    "All services of novnc_twisted in one process.",
    "console",
)
