"""The console API with real worker processes over Redis: sessions are listed, changed and ended wherever they are."""

import contextlib
import os
import signal
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from novnc_twisted.errors import Revoked
from tests.compute.harness import A
from tests.integration.sessions_case import SessionsCase
from tests.support.viewer import Viewer

UPDATE = b"\3" + bytes(9)
KEY = b"\4\1\0\0\0\0\0a"


class SessionsTest(SessionsCase):
    async def heard(self, viewer: Viewer, server: Any) -> list[int]:
        """Send a key and an update request; return the types of the messages that reach the VNC server."""
        viewer.stream.write(KEY + UPDATE)
        types: list[int] = []
        while 3 not in types:
            types.append((await server.inbox.get())[0])
        return [kind for kind in types if kind != 2]

    async def test_live_sessions(self) -> None:
        await self.begin()
        opened = [await self.opened() for _ in range(3)]
        url, viewer, server = opened[0]
        view_url, watcher, watched = await self.opened(mode="view", expires_in=300)
        listed = await self.sessions()
        self.assertEqual([row["id"] for row in listed], sorted(row["id"] for row in listed))
        self.assertEqual(sorted(row["mode"] for row in listed), ["control"] * 3 + ["view"])
        self.assertEqual({(row["server_id"], row["phase"]) for row in listed}, {(A, "live")})
        # A view-only link, and a session whose rights are changed.
        self.assertEqual(await self.heard(watcher, watched), [3])
        self.assertEqual(await self.heard(viewer, server), [4, 3])
        by_bytes = sorted((row for row in await self.sessions() if row["mode"] == "control"), key=_bytes_in)
        mine, others = by_bytes[-1]["id"], {row["id"] for row in by_bytes[:-1]}
        status, answer = await self.ask("PATCH", f"/sessions/{mine}", {"mode": "view"})
        self.assertEqual((status, answer["session"]["mode"]), (200, "view"))
        self.assertEqual(await self.heard(viewer, server), [3])
        again = await self.viewers.open(url)
        self.assertEqual(await self.heard(again, await self.vnc.live.get()), [3])
        # Ending it ends all sessions of its link, and the link is refused.
        status, _ = await self.ask("DELETE", f"/sessions/{mine}?reason=test")
        self.assertEqual(status, 204)
        for each in (viewer, again):
            self.assertEqual(await each.closed(), (4410, Revoked.sentence))
        self.assertEqual(await self.viewers.refusal(url), (4410, Revoked.sentence))
        self.assertEqual((await self.ask("GET", f"/sessions/{mine}"))[0], 404)
        self.assertEqual(len(await self.sessions()), 3)
        # The error names workers that hang; they end their sessions as soon as they continue.
        for pid in self.pids.values():
            os.kill(pid, signal.SIGSTOP)
            self.addCleanup(_continue, pid)
        status, answer = await self.ask("POST", "/revocations", {"user_id": "admin", "reason": "leaver"})
        self.assertEqual(status, 503, answer)
        self.assertIn("No answer from proxy.", answer["serviceUnavailable"]["message"])
        for pid in self.pids.values():
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(await watcher.closed(), (4410, Revoked.sentence))
        self.assertEqual(await self.viewers.refusal(view_url), (4410, Revoked.sentence))
        # Ended sessions are in the history.
        rows: list[dict[str, Any]] = []
        while len(rows) < 5:
            await deferLater(reactor, 0.1)
            rows = (await self.ask("GET", f"/history?server_id={A}"))[1]["sessions"]
        self.assertEqual({row["cause"] for row in rows if row["id"] in others | {mine}}, {"Revoked"})
        self.assertIn("by admin: test", {row["detail"] for row in rows})
        # Sessions of killed workers disappear from the list.
        await self.opened(mode="view")
        for pid in self.pids.values():
            os.kill(pid, signal.SIGKILL)
        while await self.sessions():
            await deferLater(reactor, 0.1)


def _bytes_in(row: dict[str, Any]) -> int:
    return int(row["bytes_in"])


def _continue(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
