"""Checks of every record of the package, and of some single ones."""

import pkgutil
import sys
from dataclasses import replace
from importlib import import_module
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted import contract
from novnc_twisted.contract import (
    Admission,
    ConnectInfo,
    Console,
    EndedSession,
    HistoryQuery,
    Instance,
    Person,
    Place,
    Record,
    Revocation,
    SessionFilter,
    SessionInfo,
)
from novnc_twisted.contract.power import PowerReply
from novnc_twisted.contract.record import record as make_record
from novnc_twisted.contract.screenshot import Screenshot
from novnc_twisted.contract.typing import TypingTicket
from novnc_twisted.errors import ServiceUnavailable
from tests.contract.test_record import travelled

UUID = "11111111-2222-3333-4444-555555555555"

EVERYTHING = ConnectInfo(
    host="h",
    port=5900,
    socket="/s",
    internal_access_path="/i",
    instance_uuid=UUID,
    name="ü",
    console_type="xvpvnc",
    user_id="u",
    project_id="p",
    compute_host="one",
    expires_at=1.5,
    reconnects=False,
    keep_from=0.5,
    mode="view",
    administrator=True,
    shared_from="0af9" * 16,
    owners=("p", "demo"),
    made_at=2.5,
)

SESSION = SessionInfo(id="s", console_type="novnc", client_address="192.0.2.7", proxy="p", phase="dial", started_at=1.0)
ENDED = EndedSession(session=SESSION, ended_at=2.0, cause="ClientLeft")

RECORDS: tuple[Record, ...] = (
    ConnectInfo(host="h", port=1),
    EVERYTHING,
    Instance(uuid=UUID, name="vm", state="running"),
    Instance(
        uuid=UUID,
        name="ü",
        project_id="p",
        project_name="demo",
        user_id="u",
        user_name="alice",
        created="2026-11-29T05:00:00Z",
        vcpus=2,
        memory_mb=2048,
        state="paused",
        power_state=3,
        migrating=True,
    ),
    Place(host="h", port=1, name="vm"),
    Place(host="h", port=5900, socket="/s", name="ü", owners=("p", "demo")),
    Console(token="t", access_url="http://h/?token=t", connect_info=EVERYTHING),
    Admission(connect_info=EVERYTHING, expires_in=1.5),
    ENDED,
    replace(ENDED, detail="why"),
    HistoryQuery(),
    HistoryQuery(server_id=UUID, user_id="u", project_id="p", owner="o", proxy="e", since=1.0, until=2.0),
    Revocation(),
    Revocation(tokens=1, sessions=2, unanswered=("proxy.h.w",)),
    SessionFilter(),
    SessionFilter(
        session_id="s",
        server_id=UUID,
        user_id="u",
        project_id="p",
        owner="o",
        client_network="n",
        token_hash="0af9" * 16,
    ),
    SESSION,
    SessionInfo(
        id="s",
        server_id=UUID,
        server_name="ü",
        user_id="u",
        project_id="p",
        console_type="novnc",
        mode="view",
        client_address="192.0.2.7",
        proxy="p",
        compute_host="one",
        phase="live",
        started_at=1.0,
        last_input_at=2.0,
        bytes_in=2**40,
        bytes_out=1,
        recording="r",
        right="view",
        control_since=1.5,
        administrator=True,
        has_page=True,
        shared_from="0af9" * 16,
        owners=("p", "demo"),
        token_hash="0af9" * 16,
    ),
    Person(id="s"),
    Person(
        id="s",
        name="ü",
        mode="view",
        resizes=False,
        guest=True,
        hosts=("a", "b"),
        given_by="a",
        administrator=True,
        hidden=True,
        has_page=True,
    ),
    PowerReply(state="running", conflict="task", task="powering-off"),
    Screenshot(kind="png", width=1, height=1, data="aGVsbG8="),
    TypingTicket(id="0123456789abcdef", secret="ab" * 32),
)
"""Each record of the package, with its defaults and with other values in all fields."""


class AllRecordsTests(SynchronousTestCase):
    def test_each_is_here(self) -> None:
        kinds = set()
        for module in pkgutil.iter_modules(contract.__path__):
            names = vars(import_module(f"{contract.__name__}.{module.name}")).values()
            kinds |= {name for name in names if isinstance(name, type) and issubclass(name, Record)}
        self.assertEqual({type(record) for record in RECORDS}, kinds - {Record})

    def test_each_is_read_only_and_made_by_keyword(self) -> None:
        # With frozen_default, mypy refuses an assignment to a field.
        options: dict[str, Any] = vars(make_record)["__dataclass_transform__"]
        self.assertIs((options | options["kwargs"])["frozen_default"], True)  # Python 3.11 has it in kwargs
        for record in RECORDS:
            # These are the options of record(): Python permits assignments to fields, and objects have a hash.
            params = type(record).__dataclass_params__
            self.assertEqual((params.frozen, params.unsafe_hash), (False, True), type(record))
            self.assertEqual(hash(record), hash(record.copy()))
            self.assertFalse(hasattr(record, "__dict__"), type(record))
            # One positional value for each field.  With fewer, a missing field could be the cause of the TypeError.
            self.assertRaises(TypeError, type(record), *[None] * len(type(record).__slots__))

    def test_round_trips(self) -> None:
        for record in RECORDS:
            self.assertEqual(travelled(record), record)

    def test_each_field_is_checked(self) -> None:
        """An invalid value is refused, and the field is named; some fields of Instance get their default."""
        for record in RECORDS:
            for name in record.to_wire():
                for wrong in ([1], {"a": 1}, "\n", 10**400):
                    message = {**record.to_wire(), name: wrong}
                    if isinstance(record, Instance) and name not in ("uuid", "name", "state"):
                        expected = {**record.to_wire(), name: getattr(RECORDS[2], name)}
                        self.assertEqual(Instance.from_wire(message), Instance.from_wire(expected))
                        continue
                    error = str(self.assertRaises(ValueError, type(record).from_wire, message))
                    self.assertTrue(error.startswith(f"{type(record).__name__}.{name}: "), error)


class PlaceTests(SynchronousTestCase):
    def test_owners(self) -> None:
        place = {"host": "h", "port": 1, "name": "vm"}
        for owners, expected in ((None, None), ([], ()), (["p"], ("p",)), (["p", "demo"], ("p", "demo"))):
            self.assertEqual(Place.from_wire({**place, "owners": owners}).owners, expected)
        for wrong in ("p", ["a", "b", "c"], [None], [5], {"a": 1}, [""]):
            self.assertRaises(ValueError, Place.from_wire, {**place, "owners": wrong})

    def test_equal_texts_of_live_sessions_are_one_object(self) -> None:
        """But not in Python 3.12.0 to 3.12.6, which would keep such an object until the process ends."""
        keeps = (3, 12) <= sys.version_info < (3, 12, 7)
        for name in ("host", "instance_uuid", "name", "user_id", "project_id", "compute_host"):
            first, second = (getattr(travelled(EVERYTHING), name) for _ in range(2))
            self.assertEqual(first, getattr(EVERYTHING, name))
            # Python itself has one object for each single letter.
            self.assertEqual(first is second, not keeps or len(first) == 1, name)

    def test_connect_info_at_a_place(self) -> None:
        place = Place(host="h2", port=5901, name="now", owners=("p",), compute_host="two")
        info = EVERYTHING.at(place)
        self.assertEqual(
            (info.host, info.port, info.socket, info.name, info.compute_host), ("h2", 5901, None, "now", "two")
        )
        self.assertEqual((info.user_id, info.console_type, info.keep_from), ("u", "xvpvnc", 0.5))


class InstanceTests(SynchronousTestCase):
    """Values that are derived from a server's fields."""

    def server(self, **fields: Any) -> Instance:
        return Instance(**{"uuid": UUID, "name": "vm", "state": "running", **fields})

    def test_is_active(self) -> None:
        for state, migrating, expected in (
            ("running", False, True),
            ("paused", False, True),
            ("running", True, False),
            ("shutoff", False, False),
            ("nostate", False, False),
            ("unknown", False, False),
        ):
            self.assertEqual(self.server(state=state, migrating=migrating).is_active, expected, state)

    def test_project(self) -> None:
        self.assertEqual(self.server(project_id="p", project_name="demo").project, "p")
        self.assertEqual(self.server(project_name="demo").project, "demo")
        self.assertIsNone(self.server().project)
        for project, expected in (("p", True), ("demo", True), ("q", False), ("", False), (None, False)):
            self.assertEqual(self.server(project_id="p", project_name="demo").belongs_to(project), expected)
            self.assertFalse(self.server().belongs_to(project))

    def test_as_unknown(self) -> None:
        server = self.server(power_state=1, migrating=True, host="one")
        self.assertEqual(server.as_unknown(), self.server(state="unknown", host="one"))

    def test_the_host_is_the_one_that_was_asked(self) -> None:
        message = {**self.server().to_wire(), "host": "another"}
        self.assertEqual(Instance.from_wire(message, host="one").host, "one")
        self.assertNotIn("host", self.server(host="one").to_wire())


class SessionFilterTests(SynchronousTestCase):
    """A filter with a misspelled field must not match every session."""

    def test_unknown_fields_are_refused(self) -> None:
        self.assertEqual(SessionFilter.from_arguments({"user_id": "u"}), SessionFilter(user_id="u"))
        for arguments in ({"colour": "red"}, {"user_id": "u", "Server_id": UUID}, {"server_id": "x"}):
            self.assertRaises(ServiceUnavailable, SessionFilter.from_arguments, arguments)


class ConsoleTests(SynchronousTestCase):
    def test_the_token_is_hidden(self) -> None:
        console = Console(token="s3cret", access_url="http://h/?token=s3cret", connect_info=EVERYTHING)
        self.assertNotIn("s3cret", repr(console))
        self.assertEqual(console.console_type, "xvpvnc")


class ConnectInfoTests(SynchronousTestCase):
    def test_the_password_is_hidden_and_stays_here(self) -> None:
        info = ConnectInfo(host="h", port=5900, password="sesame")
        self.assertNotIn("sesame", repr(info))
        self.assertNotIn("password", info.to_wire())

    def test_host_and_port_are_all_that_is_required(self) -> None:
        info = ConnectInfo.from_wire({"host": "h", "port": 1})
        self.assertEqual(info, ConnectInfo(host="h", port=1))
        self.assertEqual((info.console_type, info.reconnects, info.keep_from), ("novnc", True, 0.0))
        self.assertEqual((info.expires_at, info.password, info.instance_uuid), (None, None, ""))
        for message in ({"host": "h"}, {"port": 1}):
            self.assertRaises(ValueError, ConnectInfo.from_wire, message)

    def test_nothing_is_trusted(self) -> None:
        for name, wrong in (
            ("host", None),
            ("host", ""),
            ("port", "5900"),
            ("port", True),
            ("port", 65536),
            ("port", -1),
            ("socket", 3),
            ("console_type", "spice"),
            ("instance_uuid", "myserver20"),
            ("reconnects", 1),
            ("keep_from", True),
            ("keep_from", "1"),
        ):
            self.assertRaises(ValueError, ConnectInfo.from_wire, {"host": "h", "port": 1, name: wrong})
