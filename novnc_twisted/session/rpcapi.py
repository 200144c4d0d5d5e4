"""Reads the sessions of all proxies for the API: one session, or pages of many, merged from all workers."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil, sqrt
from typing import Any, Final

from novnc_twisted.contract.record import read
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.fanout import MAX_AT_ONCE, gather
from novnc_twisted.messaging.interfaces import ITransport, Service

DEADLINE: Final = 3.5
"""Seconds for the answer of a worker (a process of a proxy).

On Redis, a worker that was killed stays in the list of services for up to 3 s, which is less than this deadline.  So a
worker that was killed before it was called is no longer listed when the deadline is over, and counts as ended.  A
worker that is still listed then may be alive, or it was killed during the call: its sessions are unknown.
"""


@dataclass(slots=True)
class _Worker:
    """The sessions that were read from one worker so far.

    :ivar rows: the worker's sessions after the marker of the page, as far as they were read, in the order of their ids.
    :ivar last: the id of the last session that was read; if none was read yet, the marker.
    :ivar more: whether the worker may have further sessions.
    """

    service: Service
    last: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    more: bool = True


class SessionsAPI:
    """Calls the workers of all proxies.  A worker that the bus no longer lists counts as ended, with all its sessions.

    :raises ServiceUnavailable: (each method) the bus cannot list the workers; or a listed worker gives no valid
        answer, and the detail names this worker.  But if another worker has the session that :meth:`find` looks for,
        :meth:`find` returns this session.
    """

    def __init__(self, transport: ITransport) -> None:
        self._transport = transport

    async def find(self, wanted: SessionFilter) -> SessionInfo | None:
        """Return the session that matches, or None.

        :param wanted: a filter that matches one session at most, such as ``session_id``.
        """
        services = await self._services()
        found: SessionInfo | None = None
        missing: list[Service] = []
        calls = (self._call(service, wanted, "", 1) for service in services)
        answers = await gather(calls, lambda answer: bool(_rows(answer)))
        for service, answer in zip(services, answers, strict=True):
            rows = _rows(answer)
            if rows is None:
                missing.append(service)
            elif rows:
                found = _session(service, rows[0])
        if found is None:
            await self._require_ended(missing)
        return found

    async def page(
        self, wanted: SessionFilter, *, limit: int, marker: str = "", proxy: str | None = None
    ) -> tuple[Sequence[SessionInfo], bool]:
        """Return sessions in the order of their ids, and whether further sessions follow.

        Ids are random, so a page is expected to have about the same number of sessions from each worker.  At first,
        slightly more than this number is read from each worker.  More is read from a worker that may have further
        sessions before the end of the page.

        :param limit: the maximum number of sessions.
        :param marker: the id of the last session of the previous page.
        :param proxy: the ``host`` of the proxy whose sessions are wanted; None: all.
        """
        services = await self._services()
        workers = [_Worker(one, marker) for one in services if proxy is None or one.host == proxy]
        share = ceil(limit / max(len(workers), 1))
        size = min(limit, share + 2 * ceil(sqrt(share)) + 1)  # two standard deviations above the mean
        behind = workers
        while behind:
            await self._read_more(behind, wanted, size)
            ids = sorted(str(row["id"]) for worker in workers for row in worker.rows)
            end = ids[limit - 1] if len(ids) >= limit else None
            behind = [worker for worker in workers if worker.more and (end is None or worker.last < end)]
        rows = sorted(((str(row["id"]), worker.service, row) for worker in workers for row in worker.rows), key=_id)
        more = len(rows) > limit or any(worker.more for worker in workers)
        return [_session(service, row) for _, service, row in rows[:limit]], more

    async def _services(self) -> list[Service]:
        # Each worker has a topic of its own.  If the bus lists a topic twice, the worker is still called only once.
        return list({service.topic: service for service in await self._transport.services(PROXY.prefix)}.values())

    def _call(self, service: Service, wanted: SessionFilter, marker: str, limit: int) -> Any:
        fields = {name: value for name, value in wanted.to_wire().items() if value is not None}
        return self._transport.call(
            service.topic, "get_sessions", deadline=DEADLINE, marker=marker, limit=limit, **fields
        )

    async def _read_more(self, workers: list[_Worker], wanted: SessionFilter, size: int) -> None:
        """Read the next sessions of some workers."""
        answers: list[Any] = []
        for at in range(0, len(workers), MAX_AT_ONCE):
            part = workers[at : at + MAX_AT_ONCE]
            answers += await gather(self._call(worker.service, wanted, worker.last, size) for worker in part)
        missing: list[Service] = []
        for worker, answer in zip(workers, answers, strict=True):
            rows = _rows(answer)
            if rows is None:
                worker.rows, worker.more = [], False
                missing.append(worker.service)
            else:
                _take(worker, rows, answer.get("more") is True)
        await self._require_ended(missing)

    async def _require_ended(self, missing: list[Service]) -> None:
        """Check that the workers that gave no valid answer have ended, that is, are no longer listed.

        :raises ServiceUnavailable: a worker is still listed, so its sessions are unknown.
        """
        if not missing:
            return
        alive = {service.topic for service in await self._services()}
        silent = sorted(service.topic for service in missing if service.topic in alive)
        if silent:
            raise ServiceUnavailable(f"no valid answer from {', '.join(silent)}")


def _take(worker: _Worker, rows: list[Any], more: bool) -> None:
    """Add the sessions in an answer of a worker to those that were read from this worker before.

    :raises ServiceUnavailable: the sessions in the answer are not in the order of their ids.
    """
    ids = [worker.last, *(str(row.get("id", "")) if isinstance(row, dict) else "" for row in rows)]
    # Without this check, a worker could keep the caller in an endless loop.
    if any(before >= after for before, after in pairwise(ids)):
        raise ServiceUnavailable(f"{worker.service.topic}: its sessions are not in the order of their ids")
    worker.more = bool(rows) and more
    worker.rows += rows
    worker.last = ids[-1]


def _rows(answer: Any) -> list[Any] | None:
    """Return the sessions in the answer of a worker; None: it is not valid, so the sessions are unknown.

    :param answer: a result of :func:`.gather`.  It is a Refusal if the worker refused the call, or did not answer in
        time.
    """
    rows = answer.get("sessions") if isinstance(answer, dict) else None
    return rows if isinstance(rows, list) else None


def _id(row: tuple[str, Service, dict[str, Any]]) -> str:
    return row[0]


def _session(service: Service, row: Any) -> SessionInfo:
    """Read a session in the answer of a worker.

    The value of ``proxy`` in the answer is not used.  Instead, ``proxy`` is the host that the bus lists for the worker,
    as in the argument of :meth:`SessionsAPI.page`.
    """
    return replace(read(SessionInfo, row, service.topic), proxy=service.host)
