"""A viewer that goes away after every single byte of its part, on both fronts: nothing is left, nothing is raised."""

from tests.session.harness import HANDSHAKE, TOKEN, FrontCase, Raw, frame

RFB = b"RFB 003.008\n\1\1" + b"\2\0\0\1\0\0\0\0" + b"\3\0\0\0\0\0\0\x40\0\x30"


class Abrupt(FrontCase):
    timeout = 120

    async def at_every_byte(self, words: bytes, step: int = 1) -> None:
        for count in range(0, len(words) + 1, step):
            client: Raw = await self.raw()
            client.write(words[:count])
            client.transport.loseConnection()  # what was written goes out, then it is gone
            await client.gone
        await self.all_over()
        causes = {event["cause"] for event in self.events if event.get("event") == "session"}
        self.assertEqual(causes, {"ClientLeft"})
        self.assertEqual([event for event in self.events if "log_failure" in event], [])

    async def test_novnc(self) -> None:
        self.novnc(settings=self.settings(max_sessions_per_server=0))
        await self.at_every_byte(HANDSHAKE.format(path=f"/?token={TOKEN}", more="").encode() + frame(2, RFB))

    async def test_xvp(self) -> None:
        self.xvp(settings=self.settings(max_sessions_per_server=0))
        await self.at_every_byte(b"CONNECT /console?token=%s HTTP/1.0\r\n\r\n" % TOKEN.encode() + RFB)

    async def test_everything_at_once_with_a_wrong_token_reaches_no_server(self) -> None:
        """CVE-2022-36436: what is pipelined must not slip through."""
        self.novnc()
        client = await self.raw()
        client.write(HANDSHAKE.format(path="/?token=wrong", more="").encode() + frame(2, RFB) + frame(8, b"\x03\xe8"))
        await client.gone
        await self.all_over()
        self.assertEqual(self.server.connections, [])
