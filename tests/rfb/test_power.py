"""The offer of power actions (xvp)."""

from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.rfb.power import XVP_INIT, PowerOffer
from novnc_twisted.rfb.shield import Shield

XVP = -309


def set_encodings(*encodings: int) -> bytes:
    return pack(f">BxH{len(encodings)}i", 2, len(encodings), *encodings)


class PowerOfferTests(SynchronousTestCase):
    def offered(self, *encodings: int) -> tuple[bytes, bool]:
        """Return what a viewer with these encodings gets for ``x``, and whether its xvp messages have an effect."""
        shield = Shield()
        shield.power = lambda code: None
        shield.from_client(set_encodings(*encodings))
        done: list[PowerOffer] = []
        offer = PowerOffer(shield, done.append)
        sent = offer.from_upstream(b"x")
        self.assertEqual(done, [offer])
        return sent, shield.power is not None

    def test_only_to_viewers_that_ask_for_xvp(self) -> None:
        self.assertEqual(self.offered(0, XVP), (XVP_INIT + b"x", True))
        self.assertEqual(self.offered(0), (b"x", False))
