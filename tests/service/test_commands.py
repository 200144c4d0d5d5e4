"""The six commands as real processes: errors at the start, and an orderly end."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from tests.session.harness import HANDSHAKE, Raw
from tests.support.twistd import Twistd, free_port

SIX = ("novncproxy", "xvpvncproxy", "consoleauth", "consolecompute", "consoleapi", "console")


def alone(**more: str) -> str:
    """Return a configuration with free loopback ports and libvirt's test driver."""
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
    timeout = 300

    async def refused(self, command: str, conf: str | None, *names: str, code: int = 78) -> str:
        process = Twistd.start(self, command, conf)
        self.assertEqual(await process.ended, code, process.output)
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
            await self.refused("console", conf, "novncproxy_port", "in use", code=1)

    async def test_an_address_that_is_not_ours(self) -> None:
        """The error names the address, not the port, which is correct."""
        for option in ("novncproxy_host", "xvpvncproxy_host"):
            for address, code in (("192.0.2.1", 1), ("no..name", 78)):
                conf = f"{alone()}\n[vnc]\n{option} = {address}\n"
                line = await self.refused("console", conf, f"[vnc] {option}: ", address, code=code)
                self.assertNotIn("proxy_port", line)

    async def test_an_address_of_the_api_that_is_not_ours(self) -> None:
        users = Path(self.mktemp())
        users.write_text("admin:$2b$04$" + "a" * 53 + "\n")
        more = f"\n[api]\nauth_strategy = http_basic\nhttp_basic_auth_user_file = {users.absolute()}\n"
        conf = alone(osapi_compute_listen="192.0.2.1") + more
        self.assertNotIn(
            "listen_port", await self.refused("console", conf, "osapi_compute_listen: ", "192.0.2.1", code=1)
        )

    async def test_a_missing_web_folder(self) -> None:
        await self.refused("console", alone(web="/nowhere/novnc"), "web", "/nowhere/novnc")

    async def test_noauth_is_for_loopback(self) -> None:
        await self.refused("console", alone(osapi_compute_listen="0.0.0.0"), "auth_strategy", "osapi_compute_listen")

    async def test_keystone_without_credentials(self) -> None:
        conf = alone() + "\n[api]\nauth_strategy = keystone\n"
        await self.refused("console", conf, "[api] auth_strategy", "[keystone_authtoken]")
        conf += "[keystone_authtoken]\nauth_type = password\nusername = nova\npassword = secret-password\n"
        line = await self.refused("console", conf, "[keystone_authtoken]", "auth_url")
        self.assertNotIn("secret-password", line)

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

    async def test_a_comment_behind_a_value(self) -> None:
        """This error once appeared only after the start, with tracebacks and exit code 0."""
        conf = alone() + "\n[vnc]\nserver_proxyclient_address = 127.0.0.1  # mgmt\n"
        await self.refused("console", conf, ":10: [vnc] server_proxyclient_address: ")

    async def test_a_file_that_is_not_there(self) -> None:
        process = Twistd.start(self, "consoleauth", arguments=["--config-file", "/nowhere/nova.conf"])
        self.assertEqual(await process.ended, 78)
        self.assertEqual(process.output, "consoleauth: --config-file /nowhere/nova.conf: No such file or directory\n")

    async def test_a_wrong_command_line(self) -> None:
        for arguments, words in (
            (["--confg-file", "x"], "confg-file"),
            (["argument"], "argument"),
            (["--config-file"], "config-file"),
        ):
            process = Twistd.start(self, "novncproxy", arguments=arguments)
            self.assertEqual(await process.ended, 78)
            self.assertEqual(process.output.count("\n"), 1, process.output)
            self.assertIn(words, process.output)

    async def test_a_start_stops_at_the_first_mistake(self) -> None:
        await self.refused("console", alone(web="/nowhere", cert="/nowhere", key="/nowhere"), ": cert: ")

    async def test_no_way_to_log_in(self) -> None:
        await self.refused("console", alone() + "\n[vnc]\nauth_schemes =\n", "[vnc] auth_schemes")

    async def test_an_invalid_base_url(self) -> None:
        await self.refused("console", alone() + "\n[vnc]\nnovncproxy_base_url = controlnode\n", "novncproxy_base_url")


class CheckConfigTests(TestCase):
    """``--check-config``: a line for each error and warning, and nothing is started."""

    timeout = 300

    async def checked(self, command: str, conf: str, **more: Any) -> tuple[int, list[str]]:
        process = Twistd.start(self, command, conf, arguments=["--check-config"], **more)
        return await process.ended, process.output.splitlines()

    async def test_each_command(self) -> None:
        """Nothing is printed for a correct file."""
        web = Path(self.mktemp()).absolute()
        web.mkdir()
        for name in ("index.html", "x.html"):
            (web / name).touch()
        links = "".join(
            f"{part}_port = {port}\n{part}_base_url = http://h:{port}/x.html\n"
            for part, port in zip(SIX, (7, 8), strict=False)
        )
        conf = f"transport_url = redis://127.0.0.1:1\nweb = {web}\n[vnc]\n{links}"
        for command in SIX:
            self.assertEqual(await self.checked(command, conf), (0, []), command)

    async def test_all_errors_and_warnings(self) -> None:
        conf = alone(web="/nowhere", cert="/nowhere", token_ttl="5") + "\n[console]\nidle_timeout = nan\n"
        code, lines = await self.checked("console", conf)
        self.assertEqual(code, 78)
        kinds = [line.split(" ")[1] for line in lines]
        self.assertEqual(kinds, ["error:"] * 3 + ["warning:"] * len(kinds[3:]), lines)
        self.assertIn("[DEFAULT] token_ttl", " ".join(lines[3:]))

    async def test_warnings_alone(self) -> None:
        code, lines = await self.checked("console", alone(token_ttl="5"))
        self.assertEqual(code, 0)
        self.assertTrue(lines)
        self.assertEqual({line.split(" ")[1] for line in lines}, {"warning:"}, lines)

    async def test_beside_a_running_service(self) -> None:
        """The check succeeds, although the ports are in use and twistd's pid file names a running process."""
        conf = alone()
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        running = Twistd.start(self, "console", conf, options=["--pidfile=twistd.pid"], path=str(folder))
        await running.ready()
        code, lines = await self.checked("console", conf, options=["--pidfile=twistd.pid"], path=str(folder))
        self.assertEqual((code, [line for line in lines if "warning" not in line]), (0, []))
        self.assertEqual(await running.stop(), 0)


BROKEN = """
from novnc_twisted.consoleauth import ConsoleAuthManager
from novnc_twisted.novncproxy import NoVNCProxyFactory

async def start(self):
    raise {error}

ConsoleAuthManager._start = start
NoVNCProxyFactory.doStart = lambda self: 1 / 0
"""
"""A sitecustomize module: consoleauth and the noVNC proxy can't start."""


class FailedStartTests(TestCase):
    """A service fails to start when the reactor runs: one line, exit code 1, and no "is ready"."""

    timeout = 300

    async def failed(
        self, command: str, conf: str, error: str = "OSError(28, 'No space left')", debug: bool = False
    ) -> str:
        process = Twistd.start(self, command, conf, customize=BROKEN.format(error=error))
        self.assertEqual(await process.ended, 1, process.output)
        self.assertNotIn("is ready", process.output)
        lines = [line for line in process.output.splitlines() if "could not start" in line]
        self.assertEqual(len(lines), 1 + debug, process.output)
        self.assertEqual("Traceback" in process.output, debug, process.output)
        return lines[-1]

    async def test_one_process(self) -> None:
        line = await self.failed("consoleauth", "transport_url = redis://127.0.0.1:1\n")
        self.assertIn("consoleauth could not start: OSError: [Errno 28] No space left", line)

    async def test_one_of_several_parts(self) -> None:
        await self.failed("console", alone())

    async def test_debug_shows_where(self) -> None:
        await self.failed("consoleauth", "transport_url = redis://127.0.0.1:1\ndebug = true\n", debug=True)

    async def test_workers(self) -> None:
        conf = f"transport_url = redis://127.0.0.1:1\nworkers = 2\n{alone()}\n"
        line = await self.failed("novncproxy", conf)
        self.assertIn("novncproxy could not start: ZeroDivisionError: division by zero", line)


class OneProcessTests(TestCase):
    timeout = 300

    async def answer(self, port: int, request: bytes) -> bytes:
        client = await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(Factory.forProtocol(Raw))
        client.write(request)
        return await client.everything()

    async def test_few_descriptors(self) -> None:
        """With few descriptors, silent connections of one address block nobody, there or at another address."""
        novnc, api = free_port(), free_port()
        conf = alone(osapi_compute_listen_port=str(api)) + f"\n[vnc]\nnovncproxy_port = {novnc}\n"
        process = Twistd.start(self, "console", conf, shell="ulimit -n 300")
        await process.ready()
        silent: list[socket.socket] = []
        self.addCleanup(lambda: [one.close() for one in silent])
        for source in ("127.0.0.2", "127.0.0.1") * 2:
            silent += [socket.create_connection(("127.0.0.1", novnc), source_address=(source, 0)) for _ in range(150)]
            self.assertIn(b" 200 ", await self.answer(novnc, b"GET /healthz HTTP/1.0\r\n\r\n"))
            self.assertIn(b" 101 ", await self.upgrade(novnc))
            self.assertIn(
                b" 200 OK", await self.answer(api, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            )
        await process.stop()
        self.assertNotIn("can't accept", process.output)
        self.assertNotIn("Traceback", process.output)
        lines = [line for line in process.output.splitlines() if "TooManyConnections" in line]
        self.assertIn("[console] max_connections", lines[0])
        self.assertLess(len(lines), 5)

    async def upgrade(self, port: int) -> bytes:
        client = await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(Factory.forProtocol(Raw))
        client.write(HANDSHAKE.format(path="/?token=any", more="").encode())
        head: bytes = await client.until(b"\r\n\r\n")
        client.transport.abortConnection()
        await client.gone
        return head

    async def test_debug_logs_calls(self) -> None:
        xvp = free_port()
        conf = alone(debug="true") + f"\n[vnc]\nxvpvncproxy_port = {xvp}\n"
        process = Twistd.start(self, "console", conf)
        await process.ready()
        self.assertIn(b" 401 ", await self.answer(xvp, b"CONNECT /console?token=any HTTP/1.0\r\n\r\n"))
        await process.stop()
        self.assertIn("called consoleauth check_token: InvalidToken", process.output)


class OrderlyEndTests(TestCase):
    timeout = 300

    async def ends(self, sign: int) -> None:
        process = Twistd.start(self, "console", alone())
        await process.ready()
        self.assertEqual(await process.stop(sign), 0, process.output)
        self.assertNotIn("Traceback", process.output)

    async def test_sigterm(self) -> None:
        await self.ends(signal.SIGTERM)

    async def test_sigint(self) -> None:
        await self.ends(signal.SIGINT)

    async def test_while_it_still_imports(self) -> None:
        """The signal comes before the reactor runs: here, when the command imports the rest of its code."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SIGNALLED)
        for sign in signal.SIGTERM, signal.SIGINT:
            environment = {**os.environ, "PYTHONPATH": str(folder), "SIGN": str(int(sign))}
            process = Twistd.start(self, "consoleauth", "", env=environment)
            self.assertEqual((await process.ended, process.output), (0, ""))


SIGNALLED = """
import os
import sys

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "novnc_twisted.service.make_service":
            os.kill(os.getpid(), int(os.environ["SIGN"]))

sys.meta_path.insert(0, Finder())
"""
"""A sitecustomize module: the process sends itself a signal during its start."""
