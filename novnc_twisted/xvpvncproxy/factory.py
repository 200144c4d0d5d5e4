"""The protocol factory of the XVP proxy."""

from novnc_twisted.frontend.factory import FrontFactory
from novnc_twisted.xvpvncproxy.protocol import XVPVNCProxyProtocol


class XVPVNCProxyFactory(FrontFactory):
    """Protocol factory for the Java viewer (nova-xvpvncproxy).  Works with any stream endpoint and with TLS."""

    name = "xvpvncproxy"
    _protocol = XVPVNCProxyProtocol
