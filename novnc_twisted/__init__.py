"""OpenStack's VNC console access system, written anew on Twisted."""

from novnc_twisted._version import __version__

__all__ = ["__version__"]
