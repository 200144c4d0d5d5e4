"""The six commands as people start them: what a mistake looks like, and an orderly end."""

import signal
import socket
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from tests.session.harness import HANDSHAKE, Raw
from tests.support.twistd import Twistd, free_port

SIX = ("novncproxy", "xvpvncproxy", "consoleauth", "consolecompute", "consoleapi", "console")


def alone(**more: str) -> str:
    """A configuration in which everything listens on free loopback ports and libvirt is its own test driver."""
    return "\n".join(
        [
            f"osapi_compute_listen_port = {free_port()}",
            *(f"{name} = {value}" for name, value in more.items()),
            "[vnc]",
            "novncproxy_host = 127.0.0.1",
            "xvpvncproxy_host = 127.0.0.1",
            f"novncproxy_port = {free_port()}",
            f"xvpvncproxy_port = {free_port()}",
            "[libvirt]",
            "connection_uri = test:///default",
        ]
    )


class MistakeTests(TestCase):
    timeout = 60

    async def refused(self, command: str, conf: str | None, *names: str) -> str:
        process = Twistd.start(self, command, conf)
        code = await process.ended
        self.assertNotEqual(code, 0)
        self.assertEqual(process.output.count("\n"), 1, process.output)
        for name in names:
            self.assertIn(name, process.output)
        return process.output

    async def test_memory_is_for_console_alone(self) -> None:
        for commands in (SIX[:3], SIX[3:5]):
            await gatherResults([self._deferred(self.refused(name, None, "transport_url", name)) for name in commands])

    def _deferred(self, coroutine):
        from twisted.internet.defer import ensureDeferred

        return ensureDeferred(coroutine)

    async def test_rabbit(self) -> None:
        line = await self.refused(
            "consoleauth", "transport_url = rabbit://openstack:RABBIT_PASS@controller:5672/\n", "transport_url"
        )
        self.assertNotIn("RABBIT_PASS", line)

    async def test_a_port_in_use(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            conf = alone() + f"\n[vnc]\nnovncproxy_port = {taken.getsockname()[1]}\n"
            await self.refused("console", conf, "novncproxy_port", "in use")

    async def test_an_address_that_is_not_ours(self) -> None:
        """It is named, not the port, with which nothing is wrong."""
        for option in ("novncproxy_host", "xvpvncproxy_host"):
            for address in ("192.0.2.1", "no..name"):
                conf = f"{alone()}\n[vnc]\n{option} = {address}\n"
                line = await self.refused("console", conf, f"[vnc] {option}: ", address)
                self.assertNotIn("proxy_port", line)

    async def test_an_address_of_the_api_that_is_not_ours(self) -> None:
        users = Path(self.mktemp())
        users.write_text("admin:$2b$04$" + "a" * 53 + "\n")
        more = f"\n[api]\nauth_strategy = http_basic\nhttp_basic_auth_user_file = {users.absolute()}\n"
        conf = alone(osapi_compute_listen="192.0.2.1") + more
        self.assertNotIn("listen_port", await self.refused("console", conf, "osapi_compute_listen: ", "192.0.2.1"))

    async def test_a_web_folder_that_is_none(self) -> None:
        await self.refused("console", alone(web="/nowhere/novnc"), "web", "/nowhere/novnc")

    async def test_noauth_is_for_loopback(self) -> None:
        await self.refused("console", alone(osapi_compute_listen="0.0.0.0"), "auth_strategy", "osapi_compute_listen")

    async def test_keystone_comes_later(self) -> None:
        await self.refused("console", alone() + "\n[api]\nauth_strategy = keystone\n", "auth_strategy", "keystone")

    async def test_http_basic_without_its_file(self) -> None:
        await self.refused("console", alone() + "\n[api]\nauth_strategy = http_basic\n", "http_basic_auth_user_file")

    async def test_http_basic_with_a_bad_file(self) -> None:
        users = Path(self.mktemp()).absolute()
        users.write_text("demo:plaintext\n")
        conf = alone() + f"\n[api]\nauth_strategy = http_basic\nhttp_basic_auth_user_file = {users}\n"
        line = await self.refused("console", conf, "http_basic_auth_user_file", str(users))
        self.assertNotIn("plaintext", line)

    async def test_tls_is_not_silently_plain(self) -> None:
        await self.refused("console", alone(cert="/etc/ssl/x.pem"), "cert")
        await self.refused("console", alone(ssl_only="true"), "ssl_only")

    async def test_no_way_to_log_in(self) -> None:
        await self.refused("console", alone() + "\n[vnc]\nauth_schemes =\n", "[vnc] auth_schemes")

    async def test_a_base_url_that_is_none(self) -> None:
        await self.refused("console", alone() + "\n[vnc]\nnovncproxy_base_url = controlnode\n", "novncproxy_base_url")


class OneProcessTests(TestCase):
    timeout = 60

    async def answer(self, port: int, request: bytes) -> bytes:
        client = await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(Factory.forProtocol(Raw))
        client.write(request)
        return await client.everything()

    async def test_few_descriptors(self) -> None:
        """With the usual limit one address that only connects takes neither the proxies nor the API from others."""
        novnc, api = free_port(), free_port()
        conf = alone(osapi_compute_listen_port=str(api)) + f"\n[vnc]\nnovncproxy_port = {novnc}\n"
        process = Twistd.start(self, "console", conf, shell="ulimit -n 300")
        await process.ready()
        silent: list[socket.socket] = []
        self.addCleanup(lambda: [one.close() for one in silent])
        for _ in range(4):
            silent += [socket.create_connection(("127.0.0.1", novnc)) for _ in range(150)]
            self.assertIn(b" 200 ", await self.answer(novnc, b"GET /healthz HTTP/1.0\r\n\r\n"))
            self.assertIn(b" 101 ", await self.upgrade(novnc))
            self.assertIn(
                b" 200 OK", await self.answer(api, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            )
        await process.stop()
        self.assertNotIn("can't accept", process.output)
        self.assertNotIn("Traceback", process.output)
        told = [line for line in process.output.splitlines() if "TooManyConnections" in line]
        self.assertIn("[console] max_connections", told[0])
        self.assertLess(len(told), 5)

    async def upgrade(self, port: int) -> bytes:
        client = await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(Factory.forProtocol(Raw))
        client.write(HANDSHAKE.format(path="/?token=any", more="").encode())
        head: bytes = await client.until(b"\r\n\r\n")
        client.transport.abortConnection()
        await client.gone
        return head

    async def test_debug_tells_of_calls(self) -> None:
        xvp = free_port()
        conf = alone(debug="true") + f"\n[vnc]\nxvpvncproxy_port = {xvp}\n"
        process = Twistd.start(self, "console", conf)
        await process.ready()
        self.assertIn(b" 401 ", await self.answer(xvp, b"CONNECT /console?token=any HTTP/1.0\r\n\r\n"))
        await process.stop()
        self.assertIn("called consoleauth check_token: InvalidToken", process.output)


class OrderlyEndTests(TestCase):
    timeout = 60

    async def ends(self, sign: int) -> None:
        process = Twistd.start(self, "console", alone())
        await process.ready()
        self.assertEqual(await process.stop(sign, timeout=5), 0, process.output)
        self.assertNotIn("Traceback", process.output)

    async def test_sigterm(self) -> None:
        await self.ends(signal.SIGTERM)

    async def test_sigint(self) -> None:
        await self.ends(signal.SIGINT)
