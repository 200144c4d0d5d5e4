"""The XVP front: the Java viewer's CONNECT, then raw RFB."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(__name__, {"XVPVNCProxyFactory": "factory"})
