"""Two fake proxy workers with sessions, for tests of consoleauth."""

from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.access import hash_token, tokens
from novnc_twisted.consoleauth.people_api import PeopleAPI
from novnc_twisted.contract import EndedSession, Person, SessionInfo
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.session.closed_reports import report_of
from tests.consoleauth.harness import VM, ConsoleAuthCase


class Worker:
    """A fake proxy worker: its sessions, and the updates that it received."""

    def __init__(self, case: "PeopleCase", name: str) -> None:
        self.case, self.topic = case, PROXY.of("h", name)
        self.people = PeopleAPI(case.transport, self.topic)
        self.sessions: dict[str, dict[str, Any]] = {}
        self.updates: list[dict[str, Any]] = []
        self.silent: set[str] = set()
        self.answers: dict[str, Any] = {}  # method -> an answer in place of the worker's own
        self.tokens: dict[str, str] = {}

    async def get_sessions(self, *, server_id: str, limit: int) -> Any:
        if "get_sessions" in self.silent:
            await Deferred()
        if "get_sessions" in self.answers:
            return self.answers["get_sessions"]
        rows = [SessionInfo(**row).to_wire() for row in self.sessions.values() if row["server_id"] == server_id]
        return {"sessions": rows[:limit], "more": False}

    async def show_people(self, **update: Any) -> Any:
        if "show_people" in self.silent:
            await Deferred()
        self.updates.append(update)
        if "show_people" in self.answers:
            return self.answers["show_people"]
        for one in map(Person.from_wire, update["people"]):
            if one.id in self.sessions:
                self.sessions[one.id]["mode"] = one.mode
        asked = sum(
            row["mode"] == "control" and row["has_page"] and bool(update["asked"]) for row in self.sessions.values()
        )
        return {"shown": len(self.sessions), "asked": asked}

    async def set_mode(self, *, mode: str, link_id: str) -> dict[str, Any]:
        found = [row for row in self.sessions.values() if tokens.link_id(row["token_hash"]) == link_id]
        for row in found:
            row["mode"] = row["right"] = mode
        return {"changed": len(found)}

    async def end_sessions(self, *, link_id: str, reason: str) -> dict[str, Any]:
        ended = [name for name, row in self.sessions.items() if tokens.link_id(row["token_hash"]) == link_id]
        for name in ended:
            del self.sessions[name]
        return {"ended": len(ended)}

    async def open(self, name: str, right: str = "control", **more: Any) -> None:
        if "token_hash" not in more:
            await self.case.token(name, mode=right)
        self.sessions[name] = self.case.row(name, right, **more)
        self.case.clock.advance(1)
        await self.attend(name)

    async def attend(self, name: str) -> None:
        """Report that a page shows the console of a session."""
        token_hash = self.sessions[name]["token_hash"]
        await self.case.transport.call("consoleauth", "attend", token_hash=token_hash, topic=self.topic)

    async def change(self, name: str, action: str, other: str = "") -> str | None:
        return await self.people.change_control(VM, name, self.tokens.get(name, name), action, other)


class PeopleCase(ConsoleAuthCase):
    async def begin(self, **policy: Any) -> None:
        self.seen: list[Any] = []
        await self.serve(observer=self.seen.append, **policy)
        (await self.host()).run()
        self.gone: dict[str, Any] = {}
        self.one, self.two = [await self.worker(name) for name in ("one", "two")]

    async def worker(self, name: str) -> Worker:
        worker = Worker(self, name)
        names = "get_sessions", "show_people", "set_mode", "end_sessions"
        methods = {method: getattr(worker, method) for method in names}
        self.gone[name] = await self.transport.serve(worker.topic, methods, binary="novnc-sessions", host="h")
        return worker

    async def report_closed(self, name: str = "x") -> None:
        session = SessionInfo(
            id=name, server_id=VM, console_type="novnc", proxy="h", phase="live", started_at=1.0, user_id="u"
        )
        ended = report_of(EndedSession(session=session, ended_at=2.0, cause="ClientLeft"))
        await self.transport.call("consoleauth", "report_closed", sessions=[ended, {}, {"session": 1}])
        self.clock.advance(0)

    def row(self, name: str, right: str = "control", **more: Any) -> dict[str, Any]:
        """Return the fields of a live session, whose token is its name."""
        return {
            "id": name,
            "server_id": VM,
            "user_id": f"user-{name}",
            "console_type": "novnc",
            "proxy": "h",
            "phase": "live",
            "started_at": self.clock.seconds(),
            "mode": right,
            "right": right,
            "has_page": True,
            "token_hash": hash_token(name),
            **more,
        }

    def modes(self) -> str:
        """Return the names of the sessions that have control."""
        rows = {**self.one.sessions, **self.two.sessions}
        return "".join(sorted(name for name, row in rows.items() if row["mode"] == "control"))

    def shown(self, field: str = "id") -> Any:
        return [getattr(Person.from_wire(one), field) for one in self.one.updates[-1]["people"]]
