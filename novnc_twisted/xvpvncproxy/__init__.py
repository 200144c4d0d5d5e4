"""The XVP proxy for the Java viewer: an HTTP CONNECT request, then raw RFB."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(__name__, {"XVPVNCProxyFactory": "factory"})
