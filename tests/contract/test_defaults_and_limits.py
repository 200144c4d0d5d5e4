"""The defaults of missing fields, and the limits of values."""

from dataclasses import FrozenInstanceError

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract import Person, Revocation, SharedLink
from novnc_twisted.contract.person import MAX_PEOPLE
from novnc_twisted.contract.screenshot import picture_width
from novnc_twisted.contract.typing import Strokes


class DefaultTests(SynchronousTestCase):
    """No service sends fields with default values, and an older one does not know new fields."""

    def test_a_person(self) -> None:
        read = Person.from_wire({"id": "s"})
        self.assertEqual((read.name, read.mode, read.resizes, read.hosts, read.given_by), ("", "control", True, (), ""))
        self.assertEqual((read.guest, read.administrator, read.hidden, read.has_page), (False,) * 4)

    def test_a_revocation(self) -> None:
        read = Revocation.from_wire({})
        self.assertEqual((read.tokens, read.sessions, read.unanswered), (0, 0, ()))

    def test_strokes(self) -> None:
        self.assertFalse(Strokes(((30,),), 10).more)


class LimitTests(SynchronousTestCase):
    """The last value that is accepted, and the first that is not."""

    def test_the_width_of_a_picture(self) -> None:
        for width in (None, 16, 8192):
            self.assertEqual(picture_width(width), width)
        for wrong in (15, 8193, True, 16.0, "16"):
            self.assertRaises(ValueError, picture_width, wrong)

    def test_the_hosts_of_a_guest(self) -> None:
        ids = [f"s{number}" for number in range(MAX_PEOPLE + 1)]
        self.assertEqual(Person.from_wire({"id": "s", "hosts": ids[1:]}).hosts, tuple(ids[1:]))
        self.assertRaises(ValueError, Person.from_wire, {"id": "s", "hosts": ids})


class ValueTests(SynchronousTestCase):
    """Classes that are not records: their values are not sent between services."""

    def test_they_are_immutable(self) -> None:
        for value, field in ((SharedLink("t", 60.0), "token"), (Strokes(((30,),), 10), "hold")):
            self.assertRaises(FrozenInstanceError, setattr, value, field, None)
            self.assertFalse(hasattr(value, "__dict__"))

    def test_the_token_of_a_shared_link_is_hidden(self) -> None:
        self.assertNotIn("s3cret", repr(SharedLink("s3cret", 60.0)))
