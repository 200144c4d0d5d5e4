"""The table of a worker's sessions, in memory that the worker shares with its supervisor.

A worker that is killed cannot report that its sessions have ended.  Therefore each worker writes its sessions into a
file in memory, one row for each session.  The supervisor reads the file when the worker has ended: see
:mod:`novnc_twisted.service.lost_sessions`.

If systemd has made a RuntimeDirectory for the service, the files are in this directory, usually below ``/run``, which
is in memory, too.  In this case, a proxy without workers writes such a file as well.  If the whole proxy is killed, its
next start reads these files: see :mod:`novnc_twisted.service.session_tables`.

The worker writes a row when a session becomes live.  When the session ends, there are two cases:

* If nova or a token plug-in checks the tokens instead of consoleauth, the worker frees the row.
* With consoleauth, the worker marks the row as ended, and reports the session to consoleauth.  A session that ends
  during its set-up has no row until then; it gets one if its token was found valid.  The worker frees the row when
  consoleauth has confirmed the report, or when the report was dropped.
"""

import math
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.mode import CONTROL
from novnc_twisted.session.table_rows import AT_STATE, ENDED, FREE, LIVE, SIZE, Row, decode, encode, present

if TYPE_CHECKING:
    from novnc_twisted.session.session import Session

INTERVAL: Final = 10.0
"""Seconds within which the changing values (:func:`.present`) of each live session are written again.

With more than 10,000 sessions, this takes longer.
"""

_TICK: Final = 1.0
_MAX_IN_TICK: Final = 1000
"""Maximum number of sessions that are written again in one tick.  To write this many takes two milliseconds."""

_log = Logger()


class SharedTable:
    """Writes the sessions of this process into the table.

    :param clock: IReactorTime.
    :ivar handle: the descriptor of the table; None: no rows are written.
    """

    def __init__(self, handle: int | None, clock: IReactorTime) -> None:
        self.handle = handle
        self._clock = clock
        self._numbers: dict[str, int] = {}  # the id of a session -> the number of its row
        self._free: list[int] = []  # numbers of free rows
        self._rows = 0
        self._live: dict[str, Session] = {}
        self._round: Iterator[str] = iter(())  # sessions that are still to be written again in this round
        self._timer: IDelayedCall | None = None
        self._stopped = False
        self._failed = False

    @property
    def sessions(self) -> int:
        """The number of sessions in the table."""
        return len(self._numbers)

    def opened(self, session: "Session") -> None:
        """Write a session that has become live."""
        info, viewer = session.info, session.viewer
        if info is None:
            return
        row = Row(
            id=session.id,
            token_hash=session.token_hash,
            console_type=viewer.console_type,
            address=viewer.address,
            user_id=info.user_id or "",
            project_id=info.project_id or "",
            server_id=info.instance_uuid,
            server_name=info.name,
            phase=session.phase,
            peer=viewer.end.peer,
            admission=info.admission,
            mode=info.mode,
            started_at=time.time() - self._clock.seconds() + session.accepted_at,
        )
        if not self._put(row, LIVE):
            return
        self._live[session.id] = session
        if self._timer is None and not self._stopped:
            self._timer = self._clock.callLater(_TICK, self._tick)

    def ended(self, ended: EndedSession) -> None:
        """Write a session that has ended.  Its row stays until :meth:`forget` is called."""
        session = ended.session
        self._live.pop(session.id, None)
        row = Row(
            id=session.id,
            token_hash=session.token_hash,
            console_type=session.console_type,
            address=session.client_address,
            user_id=session.user_id or "",
            project_id=session.project_id or "",
            server_id=session.server_id,
            server_name=session.server_name,
            phase=session.phase,
            mode=session.mode,
            cause=ended.cause,
            detail=ended.detail,
            admission=session.admission,
            started_at=session.started_at,
            ended_at=ended.ended_at,
            bytes_in=session.bytes_in,
            bytes_out=session.bytes_out,
            last_input_at=session.last_input_at or 0.0,
        )
        self._put(row, ENDED)

    def forget(self, session_id: str) -> None:
        """Free the row of a session."""
        self._live.pop(session_id, None)
        number = self._numbers.pop(session_id, None)
        if number is not None:
            self._write(bytes((FREE,)), number * SIZE)
            self._free.append(number)

    def stop(self) -> None:
        """Stop updating the rows of live sessions.  Sessions that become live or end later are still written."""
        self._stopped = True
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _put(self, row: Row, state: int) -> bool:
        try:
            data = encode(row, state)
        except ValueError:
            # The client's address is too long.  This can happen only in a program that has its own class for IViewer.
            # The session gets no row.
            self.forget(row.id)
            return False
        number = self._numbers.get(row.id)
        if number is None:
            if self._free:
                number = self._free.pop()
            else:
                number, self._rows = self._rows, self._rows + 1
            self._numbers[row.id] = number
        self._write(data, number * SIZE)
        return True

    def _tick(self) -> None:
        """Write the changing values of the next live sessions again."""
        self._timer = None
        if not self._live:
            return
        self._timer = self._clock.callLater(_TICK, self._tick)
        began = time.time() - self._clock.seconds()  # the clock may count from any moment
        for _ in range(min(_MAX_IN_TICK, math.ceil(len(self._live) * _TICK / INTERVAL))):
            session = self._next()
            if session is not None:
                end = session.viewer.end
                heard_at = began + end.heard_at if end.bytes_in else 0.0
                mode = session.info.mode if session.info is not None else CONTROL
                at = self._numbers[session.id] * SIZE + AT_STATE
                self._write(present(end.bytes_in, end.bytes_out, heard_at, mode), at)

    def _next(self) -> "Session | None":
        """Return the next session of this round, or the first of a new round; None if that session has ended."""
        session_id = next(self._round, None)
        if session_id is None:
            self._round = iter(list(self._live))
            session_id = next(self._round)
        return self._live.get(session_id)

    def _write(self, data: bytes, at: int) -> None:
        if self.handle is None:
            return
        try:
            # A row lies within one page of memory.  One call writes it completely, even if the process is killed.
            os.pwrite(self.handle, data, at)
        except OSError as error:
            if not self._failed:
                self._failed = True
                _log.error(
                    "the table of sessions cannot be written: {reason}; if this process is killed, the history and the "
                    "audit trail will not show how some sessions ended",
                    reason=error.strerror,
                )


def read_table(handle: int) -> list[Row]:
    """Return the sessions of a process that has ended, in the order of their rows.  Invalid rows are skipped."""
    data, size = b"", os.fstat(handle).st_size
    while len(data) < size and (more := os.pread(handle, size - len(data), len(data))):
        data += more
    return decode(data)
