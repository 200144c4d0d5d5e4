"""The noVNC proxy: serves the console page and accepts WebSocket upgrades on one port."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(__name__, {"NoVNCProxyFactory": "factory"})
