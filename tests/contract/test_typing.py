"""The limits of keystrokes, and their encryption."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract.typing import MAX_CHORD, MAX_CHORDS, MAX_HOLD, Strokes, new_ticket, seal, unseal


class StrokesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ticket = new_ticket()

    def arrives(self, chords: Any, hold: Any = 1, more: Any = False) -> bool:
        """Return whether the receiver accepts the strokes."""
        strokes = Strokes(chords, hold, more)
        sealed = seal(self.ticket, 0, strokes)
        try:
            self.assertEqual(unseal(self.ticket, 0, sealed), strokes)
        except ValueError:
            return False
        return True

    def test_limits(self) -> None:
        """The largest valid value arrives, and the next one is refused."""
        self.assertEqual(MAX_CHORD, 16)  # libvirt's VIR_DOMAIN_SEND_KEY_MAX_KEYS
        full = tuple(range(1, MAX_CHORD + 1))
        for chords, hold, expected in (
            (((1, 255),), 1, True),
            (((1, 256),), 1, False),
            (((1, 0),), 1, False),
            (((256, 1),), 1, False),
            ((full,), 1, True),
            (((*full, 100),), 1, False),
            (((),), 1, False),
            ((), 1, False),
            (((1,),) * MAX_CHORDS, 1, True),
            (((1,),) * (MAX_CHORDS + 1), 1, False),
            (((1,),), MAX_HOLD, True),
            (((1,),), MAX_HOLD + 1, False),
            (((1,),), 0, False),
            # At most 10 seconds: 50 keys are 100 events.
            (((1,),) * 50, 100, True),
            (((1,),) * 51, 100, False),
        ):
            self.assertEqual(self.arrives(chords, hold), expected, (chords[:1], len(chords), hold))

    def test_wrong_types(self) -> None:
        for chords, hold, more in ((5, 1, False), ((5,), 1, False), ((("a",),), 1, False), (((1,),), 1, 1)):
            self.assertFalse(self.arrives(chords, hold, more), (chords, hold, more))

    def test_seconds(self) -> None:
        """Each key is pressed and released."""
        self.assertEqual(Strokes(((1,), (2, 3)), 50).seconds, 0.3)

    def test_only_this_ticket_and_number(self) -> None:
        sealed = seal(self.ticket, 1, Strokes(((1,),), 1))
        for ticket, number, text in (
            (self.ticket, 0, sealed),
            (new_ticket(), 1, sealed),
            (self.ticket, 1, sealed[:-4]),
            (self.ticket, 1, sealed + "!"),
            (self.ticket, 1, 5),
            (self.ticket, 1, None),
        ):
            self.assertRaises(ValueError, unseal, ticket, number, text)

    def test_the_secret_is_not_shown(self) -> None:
        self.assertNotIn(self.ticket.secret or "", repr(self.ticket))
