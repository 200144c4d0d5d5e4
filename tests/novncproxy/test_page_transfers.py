"""Sending files to browsers: back-pressure, browsers that leave, and persistent connections."""

from collections.abc import Container

from twisted.internet.testing import StringTransport

from novnc_twisted.http.static_files import StaticFile
from tests.novncproxy.page_case import PageCase


class Transfers(PageCase):
    async def test_one_request_after_the_other(self) -> None:
        self.ours()
        client = await self.raw()
        for _ in range(3):
            client.write(b"GET /vnc.html HTTP/1.1\r\nHost: h\r\n\r\n")
            self.assertIn(b"Connection: keep-alive", await client.until(b"\r\n\r\n"))
            await client.read(18)
        client.write(b"GET /vnc.html HTTP/1.0\r\n\r\n")
        self.assertIn(b"Connection: close", await client.everything())

    def found_files(self) -> list[StaticFile]:
        """Collect the files that the front opens from now on.  These references keep unclosed files open."""
        found: list[StaticFile] = []
        original = self.front.page.find

        def find(path: str, accepted: Container[str] = ()) -> StaticFile | None:
            file = original(path, accepted)
            if file is not None:
                found.append(file)
            return file

        self.patch(self.front.page, "find", find)
        return found

    def test_a_big_file_is_read_as_the_transport_asks_for_it(self) -> None:
        (self.web / "big.wasm").write_bytes(bytes(4 << 20))
        self.ours()
        files, transport = self.found_files(), StringTransport()
        protocol = self.front.buildProtocol(None)
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET /big.wasm HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertFalse(transport.streaming, "it is a pull producer")
        before = len(transport.value())
        for _ in range(3):
            transport.producer.resumeProducing()
            self.assertLessEqual(len(transport.value()) - before, 1 << 16)
            self.assertGreater(len(transport.value()), before)
            before = len(transport.value())
        self.assertLess(files[0].content.tell(), 1 << 18)
        transport.producer.stopProducing()
        protocol.connectionLost()
        self.assertTrue(files[0].content.closed)

    async def test_a_big_file_arrives_whole(self) -> None:
        (self.web / "big.wasm").write_bytes(bytes(4 << 20))
        self.ours()
        files = self.found_files()
        client = await self.raw()
        client.write(b"GET /big.wasm HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        self.assertEqual(len((await client.everything()).partition(b"\r\n\r\n")[2]), 4 << 20)
        self.assertTrue(files[0].content.closed)

    async def test_a_client_that_leaves_in_the_middle(self) -> None:
        (self.web / "big.wasm").write_bytes(bytes(4 << 20))
        self.ours()
        files = self.found_files()
        client = await self.raw()
        client.write(b"GET /big.wasm HTTP/1.1\r\nHost: h\r\n\r\n")
        await client.read(1000)
        (connection,) = self.front.connections
        client.transport.abortConnection()
        await connection.gone
        self.assertTrue(files[0].content.closed)
        self.assertEqual([event for event in self.events if "log_failure" in event], [])

    async def test_every_answer_closes_its_file(self) -> None:
        self.ours()
        tag = (await self.get("/assets/style.css"))[1]["etag"]
        files = self.found_files()
        self.assertEqual((await self.get("/vnc.html"))[0], 200)
        self.assertEqual((await self.get("/vnc.html", "HEAD"))[0], 200)
        self.assertEqual((await self.get("/assets/style.css", more=f"If-None-Match: {tag}\r\n"))[0], 304)
        self.front.page.foreign = True
        self.assertEqual((await self.get("/vnc.html?token=T"))[0], 302)
        self.assertEqual([file.content.closed for file in files], [True] * 4)

    async def test_stopping_closes_idle_connections(self) -> None:
        self.ours()
        client = await self.raw()
        client.write(b"GET /vnc.html HTTP/1.1\r\nHost: h\r\n\r\n")
        await client.until(b"vnc</title>")
        await self.front.stop_sessions()
        await client.gone
