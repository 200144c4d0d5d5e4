"""The table of a worker's sessions: its encoding, and the reports that are made from its rows."""

import os
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.tokens import hash_token, link_id
from novnc_twisted.contract import EndedSession
from novnc_twisted.contract.mode import MODES
from novnc_twisted.errors import Revoked, WorkerLost
from novnc_twisted.events import Event, SessionOpened
from novnc_twisted.session import shared_table
from novnc_twisted.session.shared_table import INTERVAL, SharedTable, read_table
from novnc_twisted.session.table_rows import ENDED, FREE, LIVE, SIZE, Row, decode, encode
from tests.session.harness import FrontCase, introduce
from tests.support.logged import Logged
from tests.support.untimed import untimed

HASH = hash_token("T")
SERVER = "aaaaaaaa-2222-3333-4444-555555555555"

# Repeated, since hypothesis makes long texts slowly.
names = st.builds(lambda text, times: text * times, st.text(max_size=12), st.integers(0, 40))
rows = st.builds(
    Row,
    id=st.text("0123456789abcdef", min_size=32, max_size=32),
    token_hash=st.sampled_from(["", HASH]),
    console_type=st.sampled_from(["novnc", "xvpvnc"]),
    address=st.sampled_from(["", "192.0.2.7", "2001:db8:ffff:ffff:ffff:ffff:192.0.2.255", "unknown"]),
    user_id=names,
    project_id=names,
    server_id=st.sampled_from(["", SERVER]),
    server_name=names,
    phase=st.sampled_from(["live", "access path"]),
    peer=names,
    cause=st.just(""),
    detail=names,
    admission=st.sampled_from(["", "0a" * 16]),
    ended_at=st.just(0.0),
    started_at=st.floats(0, 1e11),
    bytes_in=st.integers(0, 2**63),
    bytes_out=st.integers(0, 2**63),
    last_input_at=st.floats(0, 1e11),
    mode=st.sampled_from(MODES),
)


def row(number: int, **more: Any) -> Row:
    given: dict[str, Any] = {
        "id": f"{number:032x}",
        "token_hash": HASH,
        "console_type": "novnc",
        "address": "192.0.2.7",
        "user_id": "alice",
        "project_id": "red",
        "server_id": SERVER,
        "server_name": "myserver20",
        "phase": "live",
        "admission": "0a" * 16,
        "started_at": 100.0,
    }
    return Row(**{**given, **more})


class RowTests(SynchronousTestCase):
    """The encoding of rows."""

    @untimed
    @given(rows)
    def test_any_texts_fit(self, given: Row) -> None:
        """The fields by which consoleauth finds the session are never shortened."""
        data = encode(given, LIVE)
        self.assertLessEqual(len(data), SIZE)
        [read] = decode(data)
        shortened = ("user_id", "project_id", "server_name", "peer", "detail")
        for name in set(Row._fields) - set(shortened):
            self.assertEqual(getattr(read, name), getattr(given, name), name)
        for name in shortened:
            text = getattr(given, name).encode("utf-8", "replace").decode().replace("\0", " ")
            self.assertTrue(text.startswith(getattr(read, name)), name)

    def test_usual_texts_are_kept(self) -> None:
        """Keystone's ids of LDAP users have 64 digits."""
        long = row(1, user_id="u" * 64, project_id="p" * 32, server_name="web-1.example.org", peer="192.0.2.7:50312")
        self.assertEqual(decode(encode(long, LIVE)), [long])

    @untimed
    @given(st.lists(st.tuples(rows, st.sampled_from((LIVE, ENDED, FREE))), max_size=4), st.data())
    def test_a_table_that_was_cut_off(self, written: list[tuple[Row, int]], data: Any) -> None:
        """All rows before the cut are read."""
        ended = {LIVE: "", ENDED: "ClientLeft", FREE: ""}
        table = b"".join(encode(one._replace(cause=ended[state]), state).ljust(SIZE, b"\0") for one, state in written)
        cut = data.draw(st.integers(0, len(table)))
        complete = [one.id for one, state in written[: cut // SIZE] if state != FREE]
        self.assertEqual([one.id for one in decode(table[:cut])][: len(complete)], complete)

    @untimed
    @given(rows, rows, st.integers(0, SIZE))
    def test_a_row_that_was_written_in_part(self, before: Row, after: Row, written: int) -> None:
        """It is read as the old row, as the new row, or not at all.  Only the changing values may be mixed."""
        old, new = encode(before, LIVE).ljust(SIZE, b"\0"), encode(after, LIVE)
        torn = new[:written] + old[min(written, len(new)) :]
        [whole_before], [whole_after] = decode(old), decode(new)
        changing = dict.fromkeys(("bytes_in", "bytes_out", "last_input_at", "mode"))
        for found in decode(torn):
            kept = found._replace(**changing)
            self.assertIn(kept, (whole_before._replace(**changing), whole_after._replace(**changing)))

    @untimed
    @given(st.binary(max_size=3 * SIZE))
    def test_any_bytes(self, data: bytes) -> None:
        for found in decode(data):
            self.assertIsInstance(found, Row)

    @untimed
    @given(rows, st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, 255)), max_size=4))
    def test_bytes_that_have_changed(self, given: Row, changes: list[tuple[int, int]]) -> None:
        """Any row that is read can be reported."""
        data = bytearray(encode(given, LIVE))
        for at, value in changes:
            data[at % len(data)] = value
        for found in decode(bytes(data)):
            found.closed(WorkerLost, "", 1.0)
            EndedSession.to_wire(found.ended("host"))

    def test_another_version(self) -> None:
        """A row with other fields is skipped."""
        from novnc_twisted.session import table_rows

        text = b"only\0some"
        data = table_rows._HEAD.pack(LIVE, len(text), table_rows.crc32(text)) + bytes(25) + text
        self.assertEqual(decode(data), [])


class ReportedTests(SynchronousTestCase):
    """The reports about a session that are made from its row."""

    def test_the_event(self) -> None:
        event = row(1, bytes_in=5, bytes_out=7, peer="192.0.2.7:1").closed(WorkerLost, "worker 2 ended", 160.0)
        self.assertEqual((event.cause, event.detail, event.seconds), ("WorkerLost", "worker 2 ended", 60.0))
        self.assertEqual((event.user_id, event.project_id, event.instance_name), ("alice", "red", "myserver20"))
        self.assertEqual((event.bytes_in, event.bytes_out, event.phase), (5, 7, "live"))
        self.assertEqual(event.link_id, link_id(HASH))
        self.assertNotIn(HASH, repr(event))

    def test_the_history(self) -> None:
        """The receiver can read the record."""
        ended = row(1, cause="Revoked", ended_at=160.0, mode="view").ended("control1")
        read = EndedSession.from_wire(ended.to_wire())
        self.assertEqual((read.cause, read.ended_at, read.session.started_at), ("Revoked", 160.0, 100.0))
        self.assertEqual((read.session.token_hash, read.session.proxy, read.session.mode), (HASH, "control1", "view"))


class TableTests(FrontCase):
    """The table of a front with real sessions."""

    async def begin(self, **values: Any) -> Any:
        self.info = {"admission": "0a" * 16}
        self.novnc(**values)
        self.handle = os.memfd_create("test")
        self.addCleanup(os.close, self.handle)
        self.clock = Clock()
        self.table = SharedTable(self.handle, self.clock)
        registry = self.front.registry
        registry.on_opened, registry.on_closed = self.table.opened, self.table.ended
        return registry

    async def live(self, **more: Any) -> Any:
        viewer = await self.websocket(**more)
        await introduce(viewer)
        await self.server.live.get()
        return viewer

    async def test_the_life_of_a_session(self) -> None:
        registry = await self.begin()
        viewer = await self.live()
        (session,) = registry
        [found] = read_table(self.handle)
        self.assertEqual((found.id, found.phase, found.cause), (session.id, "live", ""))
        described = session.describe()
        self.assertEqual(
            (found.user_id, found.project_id, found.server_id, found.server_name, found.address, found.token_hash,
             found.admission),
            (described.user_id, described.project_id or "", described.server_id, described.server_name,
             described.client_address, described.token_hash, "0a" * 16),
        )  # fmt: skip
        session.end(Revoked("why"))
        await viewer.until_closed()
        await self.all_over()
        [found] = read_table(self.handle)
        self.assertEqual((found.id, found.cause, found.detail), (session.id, "Revoked", "why"))
        self.assertGreater(found.bytes_out, 0)
        self.table.forget(session.id)
        self.assertEqual(read_table(self.handle), [])
        self.table.forget(session.id)
        self.table.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_written_before_it_is_reported(self) -> None:
        """Otherwise, the audit trail would not show the end of a session whose proxy is killed in between."""
        rows: list[list[str]] = []

        def observer(event: Event) -> None:
            if isinstance(event, SessionOpened):
                rows.append([found.id for found in read_table(self.handle)])

        registry = await self.begin(observer=observer)
        await self.live()
        self.assertEqual(rows, [[session.id for session in registry]])

    async def test_live_after_the_stop(self) -> None:
        """A session that becomes live later is written, but no timer starts."""
        registry = await self.begin()
        self.table.stop()
        await self.live()
        (session,) = registry
        self.assertEqual([found.id for found in read_table(self.handle)], [session.id])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_no_secret(self) -> None:
        """The table contains the hash of the token, not the token."""
        registry = await self.begin()
        await self.live()
        (session,) = registry
        data = os.pread(self.handle, 1 << 20, 0)
        self.assertIn(session.token_hash.encode(), data)
        self.assertNotIn(session.viewer.token.encode(), data)

    async def test_the_bytes_and_the_mode(self) -> None:
        """They are updated while the session lives, and not after it."""
        registry = await self.begin()
        await self.live()
        (session,) = registry
        session.viewer.end.bytes_in += 1000
        session.change_mode("view")
        self.clock.pump([1.0] * int(INTERVAL))
        [found] = read_table(self.handle)
        self.assertEqual((found.bytes_in, found.mode), (session.viewer.end.bytes_in, "view"))
        self.assertNotEqual(found.last_input_at, 0.0)
        self.table.forget(session.id)
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_rows_are_used_again(self) -> None:
        await self.begin()
        for number in range(100):
            self.table.ended(row(number, cause="ClientLeft", ended_at=1.0).ended("p"))
            self.table.forget(row(number).id)
        self.assertLessEqual(os.fstat(self.handle).st_size, SIZE)

    async def test_no_memory(self) -> None:
        """The consequence is logged once, and sessions go on."""
        registry = await self.begin()
        logged = Logged(self)

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        self.patch(shared_table.os, "pwrite", full)
        await self.live()
        self.clock.advance(1)
        (session,) = registry
        self.assertIsNone(session.cause)
        self.assertEqual(len(logged.lines("the table of sessions cannot be written: No space left on device; if")), 1)
