"""Sharing across two real worker processes and Redis: the VNC server's input shows who has control."""

import json
from typing import Any
from urllib.parse import urlsplit

from novnc_twisted.errors import Revoked
from tests.compute.harness import A
from tests.integration.test_console_sessions import SessionsTest as _Sessions
from tests.session.harness import WebSocket, frame, introduce
from tests.support.viewer import Viewers

_UPGRADE = (
    "GET /?token={token} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: novnc-twisted.v1, binary\r\n\r\n"
)


class Page:
    """A console page without a browser.

    :ivar stream: the RFB stream.
    """

    def __init__(self, stream: WebSocket) -> None:
        self.stream = stream

    async def leave(self) -> None:
        self.stream.raw.transport.abortConnection()
        await self.stream.raw.gone

    def send(self, **message: Any) -> None:
        self.stream.raw.write(frame(1, json.dumps(message).encode()))

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of this kind with these fields."""
        while True:
            opcode, payload = await self.stream.frame()
            if opcode == 1:
                message = json.loads(payload)
                if message["type"] == kind and all(message.get(name) == value for name, value in fields.items()):
                    return dict(message)

    async def people(self, count: int) -> dict[str, Any]:
        """The next message that lists this number of people."""
        while len((message := await self.until("people"))["people"]) != count:
            pass
        return message


class PeopleTest(_Sessions):
    """Two workers of a noVNC proxy; the other services run in this process."""

    async def page(self, token: str) -> tuple[Page, Any]:
        """Open a page; return it, and the VNC server's side of its session."""
        host = f"127.0.0.1:{self.port}"
        raw = await Viewers(self).raw("127.0.0.1", self.port)
        raw.write(_UPGRADE.format(token=token, host=host).encode())
        head = await raw.until(b"\r\n\r\n")
        self.assertIn(b"Sec-WebSocket-Protocol: novnc-twisted.v1", head)
        stream = WebSocket(raw)
        await introduce(stream)
        return Page(stream), await self.vnc.live.get()

    async def test_live_sessions(self) -> None:
        """Control is handed over, taken back and shared; the guest's session ends with the sharer's."""
        await self.begin()
        token = urlsplit(await self.link()).query.removeprefix("token=")
        watching = urlsplit(await self.link(mode="view")).query.removeprefix("token=")
        alice, alices = await self.page(token)
        own = (await alice.people(1))["you"]
        bob, bobs = await self.page(watching)
        # The kernel chooses a worker: repeat until both have a page, with two entries for each worker.
        while len(await self.bus.store.members(f"people:{A}", 60)) < 4:
            await bob.leave()
            bob, bobs = await self.page(watching)
        other = (await bob.people(2))["you"]
        shown = await alice.until("people")
        while [one["id"] for one in shown["people"]] != [own, other]:
            shown = await alice.until("people")
        self.assertEqual([(one["id"], one["mode"]) for one in shown["people"]], [(own, "control"), (other, "view")])
        self.assertEqual((await self.heard(alice, alices), await self.heard(bob, bobs)), ([4, 3], [3]))
        bob.send(type="request")
        await alice.until("asked", id=other)
        alice.send(type="give", id=other)
        await bob.until("rights", mode="control")
        await alice.until("rights", mode="view")
        self.assertEqual((await self.heard(alice, alices), await self.heard(bob, bobs)), ([3], [4, 3]))
        alice.send(type="take")
        await bob.until("rights", mode="view")
        await alice.until("rights", mode="control")
        self.assertEqual((await self.heard(alice, alices), await self.heard(bob, bobs)), ([4, 3], [3]))
        # The guest's session ends with the sharer's link.
        alice.send(type="share", mode="control", seconds=300)
        link = await alice.until("link")
        guest, guests = await self.page(link["token"])
        self.assertEqual(await self.heard(guest, guests), [4, 3])
        shown = await alice.people(3)
        self.assertEqual([one["yours"] for one in shown["people"]], [False, False, True])
        listed = {row["id"]: row for row in await self.sessions()}
        self.assertEqual(len(listed), 3)
        status, _ = await self.ask("DELETE", f"/sessions/{own}")
        self.assertEqual(status, 204)
        for page in (alice, guest):
            self.assertEqual(await page.stream.until_closed(), (4410, Revoked.sentence))
        shown = await bob.people(1)
        self.assertEqual(shown["people"][0]["id"], other)
        self.assertEqual(
            await self.viewers.refusal(f"http://127.0.0.1:{self.port}/?token={link['token']}"), (4410, Revoked.sentence)
        )
        self.assertEqual(listed[other]["server_id"], A)


del _Sessions
