"""Run one fault, with a live session, sessions in their set-up, and attempts to open links."""

import os
import signal
import time
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError

from tests.failures.cloud import Cloud
from tests.failures.faults import Fault
from tests.failures.stores import pause, until
from tests.failures.table import RESTART, STOP, WAITS
from tests.failures.viewers import LOST, SILENT, WORKS, WRONG, Refused, Screen, Users, typing
from tests.session.harness import Lost

EVERY, SOON = 0.5, 0.15
"""Seconds between two attempts to open a link, during the fault and after its cure."""

TIMEOUT = 25.0
"""Seconds after the cure within which everything must have an outcome."""

WRITTEN = 2.0
"""Seconds after which Redis has written what it received to its disk (``appendfsync everysec``).

A killed Redis without a replica loses newer data: the newest links are unknown then (4401).
"""

HELD_CALLS = 4
"""Number of sessions that are held while their tokens are checked: each consoleauth checks some of them."""


@dataclass
class Attempt:
    """One attempt to open a link; its times are seconds after the fault."""

    began: float
    ended: float = 0.0
    outcome: str = ""


@dataclass
class Outcome:
    """What users noticed of one fault.

    :ivar link: the different outcomes of opening, during the fault, a link that was made before it.
    :ivar new: the same for links that are made during the fault.
    :ivar elsewhere: the same as ``link``, for a VM of the other host.
    :ivar token: outcomes of sessions whose tokens were being checked.
    :ivar server: the outcome of a session that waited for the VNC server.
    :ivar live: the outcome of a live session.
    :ivar recovered: seconds from the fault until links worked again before the cure; 0: all worked; None: they did not
        work again.
    :ivar slowest: seconds of the slowest attempt that worked before the cure.
    :ivar after: seconds from the cure until an old and a new link worked.
    :ivar resumed: seconds from the cure until the live session goes on, if it stood still.
    """

    part: str
    fault: str
    link: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    token: list[str] = field(default_factory=list)
    server: str = ""
    live: str = ""
    recovered: float | None = None
    slowest: float = 0.0
    after: float = 0.0
    resumed: float | None = None
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The outcome in the form of the file."""
        return asdict(self)


class Run:
    """One fault of one part.

    :param seconds: how long the fault lasts.
    """

    def __init__(self, cloud: Cloud, users: Users, part: str, fault: str, seconds: float) -> None:
        self._cloud, self._users = cloud, users
        self._part, self._kind, self._seconds = part, fault, seconds
        self.outcome = Outcome(part, fault)
        self._begun = 0.0
        self._attempts: dict[str, list[Attempt]] = {}
        self._pending: list[Deferred[Any]] = []
        self._tries = self._cured = False

    def _say(self, what: str) -> None:
        if "FAILURES_LOGS" in os.environ:
            print(f"{time.monotonic():.2f} {self._part} {self._kind}: {what}", flush=True)

    def _now(self) -> float:
        return time.monotonic() - self._begun

    async def run(self) -> Outcome:
        """Run the fault and its cure, until everything works again."""
        cloud, outcome = self._cloud, self.outcome
        self._say("begins")
        link, elsewhere = await self._healthy()
        self._say("healthy")
        live = await self._users.open(link, cloud.red)
        server, port = await self._hold_at_the_server()
        worker = cloud.worker_of(port) if self._part == "worker" else None
        others: list[Screen] = []
        if worker is not None:
            others = [live]
            live = await self._on(worker, link, others)
        fault = Fault(cloud, self._part, self._kind, worker)
        self._say("held at the server")
        tokens = await self._hold_at_the_token(link)
        self._say("held at the token")
        self._say(f"at {datetime.now(UTC):%H:%M:%S.%f}")
        self._begun = time.monotonic()
        await fault.inject()
        self._release()
        typed = self._do(typing(live))
        self._tries = True
        tries = [
            self._do(self._try("link", lambda: self._users.outcome(link, cloud.red))),
            self._do(self._try("new", lambda: self._users.new_link(cloud.red))),
            self._do(self._try("elsewhere", lambda: self._users.outcome(elsewhere, cloud.blue))),
        ]
        if self._kind != RESTART:
            await pause(self._seconds - self._now())
        stood = not typed.called
        before = self._now()
        self._say("cure")
        await fault.cure()
        self._cured = True
        cured = self._now()
        if self._kind == RESTART:
            stood = not typed.called
            before, cured = cured, before  # count outcomes until it runs, and seconds from its start
        ends = time.monotonic() + TIMEOUT
        outcome.live = await self._in_time(typed, ends)
        if stood:
            outcome.resumed = round(self._now() - cured, 2)
        outcome.token = [await self._in_time(one, ends) for one in tokens]
        outcome.server = await self._in_time(server, ends)
        while time.monotonic() < ends and not all(self._works_since(kind, before) for kind in self._attempts):
            await pause(0.05)
        self._say("works again")
        self._tries = False
        outcome.notes += self._fails_since(before)
        for one in tries:
            await one
        self._sum_up(before, cured)
        if outcome.live == WORKS:
            outcome.live = "stands still, then goes on" if stood else "goes on"
        for other in others:
            if (said := await self._in_time(self._do(typing(other)), time.monotonic() + TIMEOUT)) != WORKS:
                outcome.notes.append(f"a session of the other worker: {said}")
        for screen in (live, *others):
            screen.raw.transport.abortConnection()
        await cloud.stores.settled()
        return outcome

    async def _healthy(self) -> tuple[str, str]:
        """Wait until everything works, and return a link to a VM of each host."""
        cloud = self._cloud
        for uuid in (cloud.red, cloud.held, cloud.blue):
            while await self._users.new_link(uuid) != WORKS:
                await pause(0.2)
        for name in ("red", "held"):  # learn() waits until a restarted guest is ready
            await self._users.learn(getattr(cloud, name), "hv1", name)
        (_, link), (_, elsewhere) = await cloud.ask(cloud.red), await cloud.ask(cloud.blue)
        if self._part == "redis":
            await pause(WRITTEN)
        return link, elsewhere

    async def _on(self, worker: int, link: str, others: list[Screen]) -> Screen:
        """Return a live session of this worker; add at least one session of another worker to ``others``."""
        found: Screen | None = None
        while found is None or all(self._cloud.worker_of(one.port) == worker for one in others):
            screen = await self._users.open(link, self._cloud.red)
            if found is None and self._cloud.worker_of(screen.port) == worker:
                found = screen
            else:
                others.append(screen)
        for one in [one for one in others if self._cloud.worker_of(one.port) == worker]:
            others.remove(one)
            one.raw.transport.abortConnection()
        return found

    # --- sessions that are stopped in their set-up

    async def _hold_at_the_server(self) -> tuple["Deferred[str]", int]:
        """Begin a session that waits for a stopped VNC server; return its outcome and the viewer's port."""
        cloud = self._cloud
        _, url = await cloud.ask(cloud.held)
        self._frozen = [cloud.hosts["hv1"].pid_of("held")]
        os.kill(self._frozen[0], signal.SIGSTOP)
        raw = await self._users.begin(url)
        held = self._do(self._finish(raw, cloud.held))
        while not any(phase not in ("token", "live") for phase in await cloud.phases(cloud.held)):
            await pause(0.02)
        return held, raw.transport.getHost().port

    async def _finish(self, raw: Any, uuid: str) -> str:
        try:
            screen = await self._users._screen(raw)
            top = await screen.top()
        except Refused as refused:
            return str(refused)
        except (AssertionError, Lost):
            return LOST
        finally:
            raw.transport.abortConnection()
        return WORKS if top == self._users.tops[uuid] else WRONG

    async def _hold_at_the_token(self, link: str) -> list["Deferred[str]"]:
        """Begin sessions whose token checks wait for the stopped compute service."""
        cloud = self._cloud
        if self._part == "worker":
            return []  # all of them may be at another worker
        pid = cloud.processes["compute1"].process.pid
        self._frozen.append(pid)
        os.kill(pid, signal.SIGSTOP)
        held = [self._do(self._users.outcome(link, cloud.red)) for _ in range(HELD_CALLS)]
        # The frozen process may have taken the first call already.
        await until(lambda: cloud.calls_waiting("compute1") >= HELD_CALLS - 1)
        return held

    def _release(self) -> None:
        """Continue the stopped processes, except those that the fault stops."""
        for pid in self._frozen:
            if pid in self._kept():
                continue
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue

    def _kept(self) -> list[int]:
        """The processes that the fault stops."""
        if self._kind != STOP:
            return []
        return {"compute": self._frozen[1:], "qemu": self._frozen[:1]}.get(self._part, [])

    # --- attempts

    async def _try(self, kind: str, attempt: Any) -> None:
        """Repeat an attempt; attempts overlap."""
        made = self._attempts.setdefault(kind, [])
        while self._tries:
            made.append(Attempt(self._now()))
            self._pending.append(self._do(self._note(made[-1], attempt())))
            due = time.monotonic() + EVERY
            while self._tries and time.monotonic() < (due - EVERY + SOON if self._cured else due):
                await pause(0.05)

    async def _note(self, one: Attempt, attempt: Coroutine[Any, Any, str]) -> None:
        one.outcome = await attempt
        one.ended = self._now()

    def _works_since(self, kind: str, since: float) -> bool:
        return any(one.outcome == WORKS and one.ended > since for one in self._attempts[kind])

    def _fails_since(self, since: float) -> list[str]:
        """Each kind of link that still does not work, with the outcome of its last attempt."""
        kinds = [kind for kind in self._attempts if not self._works_since(kind, since)]
        lasts = {kind: [one.outcome for one in self._attempts[kind] if one.ended > since] for kind in kinds}
        return [f"{kind}: {(lasts[kind] or [SILENT])[-1]} until {TIMEOUT:.0f} s after the cure" for kind in kinds]

    def _sum_up(self, before: float, cured: float) -> None:
        """Summarise the attempts; cancel those that have no outcome yet."""
        for kind, made in self._attempts.items():
            self._say(f"{kind}: " + ", ".join(f"{one.began:.2f}-{one.ended:.2f} {one.outcome}" for one in made))
        for pending in self._pending:
            give_up(pending)
        outcome = self.outcome
        for kind in ("link", "new", "elsewhere"):
            setattr(outcome, kind, self._kinds(kind, before))
        kinds = ("link", "new")
        outcome.after = round(max(self._first(kind, before) for kind in kinds) - cured, 2)
        worked = [one for kind in kinds for one in self._attempts[kind] if one.outcome == WORKS and one.ended < before]
        outcome.slowest = round(max((one.ended - one.began for one in worked), default=0.0), 2)
        recoveries = [self._recovery(kind, before) for kind in kinds]
        outcome.recovered = None if None in recoveries else round(max(filter(None, recoveries), default=0.0), 2)

    def _kinds(self, kind: str, before: float) -> list[str]:
        """The different outcomes of attempts that began during the fault, in the order of their first occurrence."""
        seen: dict[str, None] = {}
        for one in self._attempts[kind]:
            if one.began < before:
                seen[one.outcome if one.outcome and one.ended < before else WAITS] = None
        return list(seen)

    def _first(self, kind: str, since: float) -> float:
        """When the first link worked after the cure had begun."""
        worked = [one.ended for one in self._attempts[kind] if one.outcome == WORKS and one.ended > since]
        return min(worked, default=since + TIMEOUT)

    def _recovery(self, kind: str, before: float) -> float | None:
        """When links worked again before the cure; 0: they always did; None: they did not."""
        during = [one for one in self._attempts[kind] if one.began < before]
        bad = [one for one in during if one.outcome != WORKS or one.ended > before]
        # An attempt that began just before the cure may end after it.
        bad = [one for one in bad if one.outcome != WORKS or one.ended - one.began > 1.0]
        if not bad:
            return 0.0
        good = [one.ended for one in during if one.outcome == WORKS and one.began > bad[-1].began]
        return min((ended for ended in good if ended < before), default=None)

    def _do(self, work: Coroutine[Any, Any, Any]) -> "Deferred[Any]":
        return Deferred.fromCoroutine(work)

    async def _in_time(self, work: "Deferred[str]", ends: float) -> str:
        while not work.called and time.monotonic() < ends:
            await pause(0.02)
        if not work.called:
            give_up(work)
            return SILENT
        return await work


def give_up(work: "Deferred[Any]") -> None:
    """Cancel an attempt that has no outcome yet; it may still wait for a connection."""
    work.addErrback(lambda failure: failure.trap(CancelledError, ConnectingCancelledError) and None)
    work.cancel()
