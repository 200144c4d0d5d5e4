"""The noVNC front: the console page and WebSocket upgrades, on one port."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(__name__, {"NoVNCProxyFactory": "factory"})
