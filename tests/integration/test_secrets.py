"""Tokens and passwords never appear in plain text: in logs, Redis, files, command lines, errors, browser requests."""

import base64
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from novnc_twisted.access import hash_token
from tests.api.harness import quick_hash
from tests.integration.test_redis_services import CloudCase
from tests.support.browser import with_page
from tests.support.cloud import Cloud, token_in
from tests.support.handed_out import forms, secret
from tests.support.libvirtd import in_thread
from tests.support.redis_server import Client, RedisServer
from tests.support.tap import Tap

END = "the-end-of-the-watch"
COMMANDS = (("SAVE",), ("SLOWLOG", "GET", "-1"), ("CLIENT", "LIST"), ("ACL", "LOG"), ("INFO",))
"""Commands whose replies are searched; SAVE writes the snapshot."""


class SecretsTests(CloudCase):
    """All kinds of secrets are used, with debug logs and MONITOR; then all output is searched."""

    async def test_nothing_in_clear(self) -> None:
        passwords = {name: secret(secrets.token_hex(8)) for name in ("alice", "root", "wrong")}
        vnc_password = secret(secrets.token_hex(4))
        users = Path(self.mktemp()).absolute()
        users.write_text(f"alice:{quick_hash(passwords['alice'])}:red\nroot:{quick_hash(passwords['root'])}\n")
        redis_password = secret(secrets.token_hex(8))
        trail = Path(self.mktemp()).absolute()
        self.cloud = cloud = Cloud(
            self,
            forked=False,  # the command lines and the environments of the services are searched
            # Uncompressed, so that DUMP and the file can be searched.
            redis_options=(
                "appendonly yes",
                "appendfsync always",
                "aof-use-rdb-preamble no",
                "auto-aof-rewrite-percentage 0",
                "rdbcompression no",
                "dbfilename dump.rdb",
                "loglevel debug",
                "slowlog-log-slower-than 0",
                "slowlog-max-len 100000",
                f"requirepass {redis_password}",
            ),
            more={
                "api": f"auth_strategy = http_basic\nhttp_basic_auth_user_file = {users}\nadmin_users = root\n",
                "audit": f"file = {trail}\n",  # one file for all services
            },
        )
        cloud.redis_password = redis_password
        await in_thread(cloud.redis.start)

        def monitored() -> Any:
            monitor = Client(cloud.redis)
            self.addCleanup(monitor.close)
            monitor.command("AUTH", redis_password)
            monitor.command("MONITOR")
            monitor.set_timeout(240)  # before the services start, Redis gets no commands
            return deferToThread(watch, monitor)

        watching = monitored()
        self.errors: list[bytes] = []
        await cloud.start(redis=False)
        graphics = f"<graphics type='vnc' port='-1' autoport='yes' passwd='{vnc_password}'/>"
        uuid = await cloud.one.define("myserver20", project="red", graphics=graphics)
        other = await cloud.two.define("myserver21", project="blue")

        basic = {"Authorization": "Basic " + base64.b64encode(f"root:{passwords['root']}".encode()).decode()}
        tokens = await self.use_secrets(uuid, other, basic, passwords)
        requests = await self.page_loads(uuid, basic)
        at_rest = await in_thread(dumped, cloud.redis, redis_password)
        replies = [await in_thread(ask, cloud.redis, redis_password, *words) for words in COMMANDS]
        processes = [about(process.process.pid) for process in cloud.processes.values()]
        await in_thread(ask, cloud.redis, redis_password, "ECHO", END)
        searched = {
            **{f"output of {name}": process.output.encode() for name, process in cloud.processes.items()},
            **{name: text for process in processes for name, text in process.items()},
            "MONITOR": await watching,
            "DUMP of every key": at_rest,
            "append-only file": b"".join(files(cloud.redis.folder / "appendonlydir")),
            "snapshot": (cloud.redis.folder / "dump.rdb").read_bytes(),
            "Redis's lists of clients and commands": repr(replies).encode(),
            "Redis' own log": (cloud.redis.folder / "redis.log").read_bytes(),
            "error answers": b"\n".join(self.errors),
            "other data of the browser": requests,
        }
        await cloud.stop()
        for process in cloud.ended:  # including their last output
            searched[f"output of {process.command} to its end {id(process)}"] = process.output.encode()
        self.assertEqual(len([name for name in searched if name.startswith("/proc/")]), 2 * len(cloud.names))
        searched["audit trail"] = trail.read_bytes()
        audited = {json.loads(line)["event"] for line in searched["audit trail"].splitlines()}
        self.assertLessEqual({"token.made", "token.used", "token.refused", "session.opened", "session.closed"}, audited)

        hidden: dict[str, str] = {
            **{f"password of {user}": password for user, password in passwords.items()},
            "VNC password": vnc_password,
            "password of Redis": redis_password,
            **{f"token {number}": token for number, token in enumerate(tokens)},
        }
        self.assertEqual(found(searched, hidden), [])
        self.assertNotIn("Traceback", cloud.heard())
        self.all_was_searched(searched, tokens, uuid)
        await self.the_search_can_fail(searched, hidden, monitored)

    async def use_secrets(self, uuid: str, other: str, basic: dict[str, str], passwords: dict[str, str]) -> list[str]:
        """Use secrets in every way; return the tokens, including those of the identity service."""
        cloud, viewers = self.cloud, self.cloud.viewers
        links = []
        for server in (uuid, other):
            for kind in ("novnc", "xvpvnc"):
                body = {"remote_console": {"protocol": "vnc", "type": kind}}
                answer = await cloud.api("POST", f"servers/{server}/remote-consoles", body, basic)
                links.append(str(answer.body["remote_console"]["url"]))
                viewer = await (await viewers.open(links[-1])).ready()
                await viewer.type("s")
                await viewer.leave()
        tokens = [token_in(link) for link in links]
        api, novnc, xvp = (cloud.ports[name] for name in ("api", "novnc", "xvp"))
        # Tokens in page requests, the Referer, a foreign Origin, a cookie and malformed requests.
        host, token = f"127.0.0.1:{novnc}", tokens[0]
        page = f"/vnc_auto.html?token={token}"
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        for head in (
            f"GET {page} HTTP/1.1\r\nHost: {host}\r\n",
            f"GET /favicon.ico HTTP/1.1\r\nHost: {host}\r\nReferer: http://{host}{page}\r\n",
            f"GET /missing.js HTTP/1.1\r\nHost: {host}\r\nReferer: http://{host}{page}\r\n",
            f"GET /?path=%3Ftoken%3D{token} HTTP/1.1\r\nHost: {host}\r\n",
            f"GET /?token={token} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://evil/?token={token}\r\n{upgrade}{key}",
            f"GET /?token={token} HTTP/1.1\r\nHost: {host}\r\n{upgrade}",
            f"GET /?token={token} HTTP/9.9\r\nHost: {host}\r\n",
            f"GET /{token} HTTP/1.1\r\nHost: {host}\r\nCookie: token={token}; bad{token}\r\n",
            f"BREW /?token={token} HTTP/1.1\r\nHost: {host}\r\n",
            f"GET /?token={token} HTTP/1.1\r\nHost: {host}\r\nX: {'x' * 20000}\r\n",
        ):
            await self.send(novnc, f"{head}Connection: close\r\n\r\n")
        for line in (
            f"CONNECT /console?token={tokens[1]}:5999 HTTP/1.0",
            f"CONNECT /console?token={tokens[0]} HTTP/1.0",
            f"BREW /console?token={tokens[1]} HTTP/1.0",
            f"CONNECT /{tokens[1]} HTTP/1.0",
            f"token={tokens[1]}",
        ):
            await self.send(xvp, f"{line}\r\n\r\n")
        tokens.append(await self.log_in_to_the_page(passwords["root"], tokens))
        # The wrong proxy, and a stopped server, so that refusals are logged.
        await viewers.refusal(links[1].replace(f":{xvp}/console", f":{novnc}/vnc_auto.html"))
        await cloud.two.virsh("destroy", "myserver21")
        await viewers.refusal(links[2])
        # The API: wrong passwords, tokens in paths, broken requests.
        wrong = base64.b64encode(f"alice:{passwords['wrong']}".encode()).decode()
        await cloud.api("GET", "servers", None, {"Authorization": f"Basic {wrong}"})
        await cloud.api("GET", f"os-console-auth-tokens/{token}", None, basic)
        await cloud.api("GET", f"os-console-auth-tokens/{token}/{token}", None, basic)
        await cloud.api("GET", f"os-console-auth-tokens/{token}")
        await cloud.api("GET", f"unknown/{token}", None, basic)
        await self.send(api, f"GET /vnc_auto.html/{token} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        await cloud.api("GET", f"servers/detail?name={token}&token={token}", None, basic)
        await self.send(api, f"GET /v2.1/os-console-auth-tokens/{token} HTTP/9.9\r\n\r\n")
        await self.send(
            api, f"GET /v2.1/servers?token={token} HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n"
        )
        # Our identity service: by the clients, and in a plain request.
        ran = await cloud.clients(
            ("nova get-vnc-console myserver20 novnc", cloud.password("alice", passwords["alice"], "red")),
            ("openstack token issue -f value -c id", cloud.password("alice", passwords["alice"], "red")),
            ("nova list", cloud.password("alice", passwords["wrong"], "red")),
        )
        tokens.append(token_in(next(cell for row in ran[0].rows() for cell in row if "token=" in cell)))
        tokens.append(ran[1].output.strip())
        self.assertGreater(len(tokens[-1]), 20)
        answer = await cloud.api("GET", "servers", None, {"X-Auth-Token": tokens[-1]})
        self.assertEqual(answer.status, 200)
        return tokens

    async def log_in_to_the_page(self, password: str, tokens: list[str]) -> str:
        """Log in to the web page of the API, send its cookie to both proxies as browsers do, and return its value."""
        cloud = self.cloud
        form = f"user=root&password={password}"
        raw = await cloud.viewers.raw("127.0.0.1", cloud.ports["api"])
        host = f"127.0.0.1:{cloud.ports['api']}"
        kind = "Content-Type: application/x-www-form-urlencoded"
        head = f"POST /console/login HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n{kind}\r\n"
        raw.write(f"{head}Content-Length: {len(form)}\r\nConnection: close\r\n\r\n{form}".encode())
        (login,) = re.findall(rb"novnc_login=([^;]{20,});", await raw.everything())
        cookie = f"Cookie: novnc_login={secret(login.decode())}\r\n"
        for line in ("GET /vnc_auto.html HTTP/1.1", f"GET /?token={tokens[0]} HTTP/9.9", "BREW / HTTP/1.1"):
            await self.send(cloud.ports["novnc"], f"{line}\r\nHost: h\r\n{cookie}Connection: close\r\n\r\n")
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        await self.send(cloud.ports["novnc"], f"GET / HTTP/1.1\r\nHost: h\r\n{upgrade}{cookie}\r\n")
        for line in ("CONNECT /console HTTP/1.0", f"CONNECT /console?token={tokens[0]} HTTP/1.0"):
            await self.send(cloud.ports["xvp"], f"{line}\r\n{cookie}\r\n")
        return login.decode()

    async def send(self, port: int, text: str) -> None:
        """Send a request, and read until the connection ends; add any answer but 200 to ``self.errors``."""
        raw = await self.cloud.viewers.raw("127.0.0.1", port)
        raw.write(text.encode())
        answer = await raw.everything()
        if b" 200 OK\r\n" not in answer[:20]:
            self.errors.append(answer)

    async def page_loads(self, uuid: str, basic: dict[str, str]) -> bytes:
        """Return what a real browser sends while it opens a console, as recorded by a relay.

        The request lines of the page and of the WebSocket are left out: they must contain the token.
        """
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        answer = await self.cloud.api("POST", f"servers/{uuid}/remote-consoles", body, basic)
        link = str(answer.body["remote_console"]["url"])
        token = token_in(link)
        tap = Tap(self, self.cloud.ports["novnc"])
        link = link.replace(f":{self.cloud.ports['novnc']}/", f":{tap.port}/")

        def steps(page: Any) -> None:
            page.wait_painted()
            page.type("s")
            page.page.reload()
            page.wait_painted()

        seen = await with_page(link, steps)
        self.assertEqual(seen.complaints(), [])
        heads = [
            head
            for sent in tap.sent
            for head in re.findall(rb"(?:GET|POST) [^\r\n]* HTTP/1.1\r\n.*?\r\n\r\n", sent, re.S)
        ]
        lines = [head.split(b"\r\n") for head in heads]
        with_token = [first for first, *_ in lines if token.encode() in first]
        self.assertEqual(sum(first.startswith(b"GET /vnc_auto.html?") for first in with_token), 2, with_token)
        self.assertEqual(len(with_token), 4, "a page and a WebSocket, twice")
        self.assertGreater(len(lines), 6)
        self.assertEqual([line for _, *fields in lines for line in fields if line.lower().startswith(b"referer")], [])
        return b"\n".join(b"\n".join(fields) for _, *fields in lines) + b"\n".join(
            first for first, *_ in lines if first not in with_token
        )

    def all_was_searched(self, searched: dict[str, bytes], tokens: list[str], uuid: str) -> None:
        """Check that each searched text contains what it must contain."""
        digest = hash_token(tokens[0]).encode()
        for where, present in {
            "output of novncproxy": b"myserver20",
            "output of xvpvncproxy": b"myserver20",
            "output of consoleapi": b"os-console-auth-tokens",
            "output of consoleauth": b"consoleauth is ready",
            "output of consolecompute compute1": b"connected to libvirt",
            "output of consolecompute compute2": b"connected to libvirt",
            "MONITOR": digest,
            "DUMP of every key": digest,
            "append-only file": digest,
            "snapshot": digest,
            "Redis's lists of clients and commands": digest,
            "Redis' own log": b"Accepted",
            "error answers": b"HTTP/1.1 403 ",
            "other data of the browser": b"User-Agent: ",
        }.items():
            self.assertIn(present, searched[where], where)
        self.assertIn(uuid.encode(), searched["MONITOR"])
        for name, text in searched.items():
            if name.startswith("/proc/"):
                self.assertIn(b"--config-file" if name.endswith("cmdline") else b"PATH=", text)

    async def the_search_can_fail(
        self, searched: dict[str, bytes], hidden: dict[str, str], monitored: Callable[[], Any]
    ) -> None:
        """The search finds a planted secret in each place and form."""
        for where in searched:
            for what, text in hidden.items():
                for form in forms(text):
                    self.assertIn((where, what), found(searched | {where: b"x" + form + b"y"}, {what: text}))
        token = hidden["token 0"]
        redis = self.cloud.redis
        watching = monitored()
        for words in (("SET", "planted", f"see {token}"), ("ECHO", END)):
            await in_thread(ask, redis, self.cloud.redis_password, *words)
        planted = {
            "MONITOR": await watching,
            "DUMP of every key": await in_thread(dumped, redis, self.cloud.redis_password),
            "append-only file": b"".join(files(redis.folder / "appendonlydir")),
        }
        program = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", token]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(program, env={"TOKEN": token}, **pipes) as process:
            assert process.stdout is not None
            process.stdout.readline()  # it runs; before that, it has no command line yet
            planted |= about(process.pid)
        self.assertEqual(found(planted, {"token": token}), [(where, "token") for where in planted])


def found(searched: dict[str, bytes], hidden: dict[str, str]) -> list[tuple[str, str]]:
    """Return where each secret occurs, in any of its forms."""
    return [
        (where, what)
        for where, text in searched.items()
        for what, one in hidden.items()
        if any(form in text for form in forms(one))
    ]


def about(pid: int) -> dict[str, bytes]:
    """Return the command line and the environment of a process."""
    return {f"/proc/{pid}/{what}": Path(f"/proc/{pid}/{what}").read_bytes() for what in ("cmdline", "environ")}


def watch(monitor: Client) -> bytes:
    """Return what MONITOR shows until ``ECHO END``."""
    seen: list[bytes] = []
    while not seen or END.encode() not in seen[-1]:
        line: Any = monitor.reply()
        seen.append(line)
    return b"\n".join(seen)


def ask(redis: RedisServer, password: str, *words: str | bytes) -> Any:
    with closing(Client(redis)) as client:
        client.command("AUTH", password)
        return client.command(*words)


def dumped(redis: RedisServer, password: str) -> bytes:
    """Every key and its value, as dumped by Redis."""
    keys = ask(redis, password, "KEYS", "*")
    return b"\n".join(key + b" " + (ask(redis, password, "DUMP", key) or b"") for key in keys)


def files(folder: Path) -> Iterator[bytes]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file.read_bytes()
