"""Each console type has the methods that a session needs, and a proxy."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract.connect_info import CONSOLE_TYPES, ConnectInfo
from novnc_twisted.novncproxy.protocol import NoVNCViewer
from novnc_twisted.rfb.clipboard import ClipboardLimits, ClipboardPolicy
from novnc_twisted.rfb.server_init import ServerInit
from novnc_twisted.rfb.shield import Shield
from novnc_twisted.session.console_types import IConsoleType, console_type
from novnc_twisted.session.settings import SessionSettings
from novnc_twisted.xvpvncproxy.protocol import XVPViewer
from tests.support.vnc_server import PIXEL_FORMAT

INFO = ConnectInfo(host="h", port=5900)
METHODS = [name for name in vars(IConsoleType) if not name.startswith("_")]


class ConsoleTypeTests(SynchronousTestCase):
    def test_a_session_knows_each_type(self) -> None:
        self.assertEqual(len(METHODS), 8)
        for name in CONSOLE_TYPES:
            for method in METHODS:
                self.assertTrue(callable(getattr(console_type(name), method)), (name, method))

    def test_a_proxy_serves_each_type(self) -> None:
        self.assertEqual({viewer.console_type for viewer in (NoVNCViewer, XVPViewer)}, set(CONSOLE_TYPES))

    def test_rfb(self) -> None:
        """The viewer is sent the name from ConnectInfo; the shield is the only filter, and can be switched off."""
        rfb = console_type("novnc")
        opening = ServerInit(64, 48, PIXEL_FORMAT, b"QEMU")
        named = ConnectInfo(host="h", port=5900, name="my\nserver20")
        self.assertTrue(rfb.first_message(opening, named).endswith(b"\0\0\0\x0bmy?server20"))
        self.assertEqual(rfb.first_message(opening, INFO), opening.encode())
        self.assertEqual([type(each) for each in rfb.filters(opening, INFO, SessionSettings())], [Shield])
        self.assertEqual(rfb.filters(opening, INFO, SessionSettings(shield=False)), [])
        limited = SessionSettings(clipboard=ClipboardLimits(from_server=0))
        self.assertEqual([type(each) for each in rfb.filters(opening, INFO, limited)], [Shield, ClipboardPolicy])
