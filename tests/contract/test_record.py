"""Records: how they are read and written, and how each of their fields is checked."""

import json
from dataclasses import field
from typing import Annotated, Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract import Record, fields
from novnc_twisted.contract.record import LOCAL, read, record
from novnc_twisted.errors import ServiceUnavailable


@record
class Inner(Record):
    port: Annotated[int, fields.port]


@record
class Outer(Record):
    name: Annotated[str, fields.text]
    inner: Annotated[Inner, Inner.from_wire]
    lasting: Annotated[bool, fields.boolean] = True
    secret: Annotated[str | None, LOCAL] = field(default=None, repr=False)
    note: Annotated[str | None, fields.text] = None
    owner: Annotated[str, fields.text] = ""


def travelled(sent: Record) -> Any:
    """Return the record that a receiver reads."""
    return type(sent).from_wire(json.loads(json.dumps(sent.to_wire())))


class RecordTests(SynchronousTestCase):
    """to_wire and from_wire."""

    WIRE: dict[str, Any] = {"name": "a", "inner": {"port": 1}}

    def refuses(self, message: Any, text: str) -> None:
        error = self.assertRaises(ValueError, Outer.from_wire, message)
        self.assertEqual(str(error), text)

    def test_round_trip(self) -> None:
        outer = Outer(name="ü", inner=Inner(port=5), lasting=False, note="n", owner="o")
        self.assertEqual(travelled(outer), outer)

    def test_a_field_with_a_default_may_be_missing_or_have_it(self) -> None:
        expected = Outer(name="a", inner=Inner(port=1))
        self.assertEqual(Outer.from_wire(self.WIRE), expected)
        self.assertEqual(Outer.from_wire({**self.WIRE, "note": None, "owner": "", "lasting": True}), expected)

    def test_a_default_of_another_type_is_no_default(self) -> None:
        self.refuses({**self.WIRE, "lasting": 1}, "Outer.lasting: not true or false")

    def test_unknown_fields_are_ignored(self) -> None:
        self.assertEqual(Outer.from_wire({**self.WIRE, "later": 1}), Outer(name="a", inner=Inner(port=1)))

    def test_local_fields_do_not_travel(self) -> None:
        outer = Outer(name="a", inner=Inner(port=1), secret="s3cret")
        self.assertNotIn("s3cret", repr(outer) + json.dumps(outer.to_wire()))
        self.assertIsNone(Outer.from_wire({**self.WIRE, "secret": "s3cret"}).secret)
        self.assertEqual(Outer.from_wire(self.WIRE, secret="s3cret").secret, "s3cret")
        for name in ("owner", "unknown"):
            self.assertRaises(TypeError, Outer.from_wire, self.WIRE, **{name: "x"})

    def test_copy(self) -> None:
        outer = Outer(name="a", inner=Inner(port=1), secret="s3cret", note="n")
        changed = Outer(name="b", inner=Inner(port=1), secret="s3cret")
        self.assertEqual(outer.copy(name="b", note=None), changed)
        self.assertEqual((outer.name, outer.note), ("a", "n"))
        self.assertRaises(TypeError, outer.copy, unknown=1)

    def test_the_first_wrong_field_is_named(self) -> None:
        self.refuses(None, "Outer: not an object")
        self.refuses([], "Outer: not an object")
        self.refuses({}, "Outer.name: missing")
        self.refuses({"name": "a"}, "Outer.inner: missing")
        self.refuses(
            {"name": 5, "inner": 5}, "Outer.name: not a text of 1 to 1024 characters without control characters"
        )
        self.refuses({"name": "a", "inner": 5}, "Outer.inner: Inner: not an object")
        self.refuses({"name": "a", "inner": {"port": "5"}}, "Outer.inner: Inner.port: not a port")

    def test_read(self) -> None:
        self.assertEqual(read(Inner, {"port": 5}, "compute host one"), Inner(port=5))
        refusal = self.assertRaises(ServiceUnavailable, read, Inner, {}, "compute host one")
        self.assertEqual(refusal.detail, "compute host one: Inner.port: missing")

    def test_a_field_needs_a_check(self) -> None:
        class Unchecked(Record):
            name: str

        class LocalWithoutDefault(Record):
            name: Annotated[str, LOCAL]

        for kind in (Unchecked, LocalWithoutDefault):
            self.assertRaises(TypeError, record, kind)
