"""The API in memory: the clients of compute and consoleauth are real, the services are simulated."""

import base64
import json
from typing import Any
from uuid import UUID, uuid4

import bcrypt
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from novnc_twisted.access import access_url
from novnc_twisted.api import make_site
from novnc_twisted.compute.rpcapi import ComputeAPI
from novnc_twisted.consoleauth.rpcapi import ConsoleAuthAPI
from novnc_twisted.contract import ConnectInfo, Console
from novnc_twisted.contract.screenshot import Screenshot
from novnc_twisted.contract.typing import Strokes, TypingTicket, new_ticket, unseal
from novnc_twisted.errors import ConsoleTypeUnavailable, InstanceNotFound, InstanceNotRunning, InvalidToken
from novnc_twisted.messaging.memory import MemoryTransport
from tests.http.harness import Answer, Connection
from tests.support import published
from tests.support.handed_out import secret


def instance(name: str, **more: Any) -> dict[str, Any]:
    """Return a server as a compute host describes it; its UUID is derived from its name."""
    values = {
        "uuid": uuid_of(name),
        "name": name,
        "state": "running",
        "power_state": 1,
        "project_id": None,
        "project_name": None,
        "user_id": None,
        "user_name": None,
        "vcpus": 1,
        "memory_mb": 512,
        "created": None,
        "host": "host1",
    }
    return values | more


def uuid_of(name: str) -> str:
    return str(UUID(bytes=name.encode().ljust(16, b"\x01")[:16], version=4))


def quick_hash(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


class FakeHost:
    """A simulated nova-compute."""

    def __init__(self, name: str, *instances: dict[str, Any], no_vnc: tuple[str, ...] = ()) -> None:
        self.name = name
        self.instances = {item["uuid"]: item | {"host": name} for item in instances}
        self.no_vnc = no_vnc
        self.asked: list[tuple[Any, ...]] = []
        self.typing = False
        self.ticket = TypingTicket()
        self.strokes: list[Strokes] = []
        self.power: list[tuple[str, str]] = []
        self.power_reply: dict[str, Any] = {"state": "running"}

    async def serve(self, transport: MemoryTransport) -> Any:
        methods = {
            "list_instances": self.list_instances,
            "get_instance": self.get_instance,
            "get_vnc_console": self.get_vnc_console,
            "change_power": self.change_power,
            "get_screenshot": self.get_screenshot,
            "begin_keys": self.begin_keys,
            "send_keys": self.send_keys,
        }
        return await transport.serve(f"compute.{self.name}", methods, binary="nova-compute", host=self.name)

    async def list_instances(self) -> Any:
        return {"instances": list(self.instances.values())}

    async def get_instance(self, instance_uuid: str) -> Any:
        if instance_uuid not in self.instances:
            raise InstanceNotFound(instance_uuid)
        return self.instances[instance_uuid]

    async def get_screenshot(self, instance_uuid: str, kind: str, width: int | None) -> Any:
        found = await self.get_instance(instance_uuid)
        if found["state"] != "running":
            raise InstanceNotRunning(instance_uuid)
        self.asked.append((instance_uuid, kind, width))
        data = base64.b64encode(f"{kind} of {width}".encode()).decode()
        return Screenshot(kind=kind, width=width or 640, height=480, data=data).to_wire()

    async def begin_keys(self, instance_uuid: str) -> Any:
        if (await self.get_instance(instance_uuid))["state"] != "running":
            raise InstanceNotRunning(instance_uuid)
        self.ticket = TypingTicket() if self.typing else new_ticket()
        return self.ticket.to_wire()

    async def send_keys(self, instance_uuid: str, ticket: str, keys: str) -> Any:
        self.strokes.append(unseal(self.ticket, 0, keys))
        return {"pressed": ticket == self.ticket.id}

    async def change_power(self, instance_uuid: str, action: str) -> Any:
        await self.get_instance(instance_uuid)
        self.power.append((instance_uuid, action))
        return self.power_reply

    async def get_vnc_console(self, instance_uuid: str, console_type: str) -> Any:
        self.asked.append((instance_uuid, console_type))
        found = await self.get_instance(instance_uuid)
        if found["state"] != "running":
            raise InstanceNotRunning(instance_uuid)
        if found["name"] in self.no_vnc:
            raise ConsoleTypeUnavailable(instance_uuid)
        base = {"novnc": "http://127.0.0.1:6080/vnc_auto.html", "xvpvnc": "http://127.0.0.1:6081/console"}
        token = secret(str(uuid4()))
        info = ConnectInfo(
            host="192.0.2.7",
            port=5901,
            instance_uuid=instance_uuid,
            name=found["name"],
            console_type=console_type,
            compute_host=self.name,
        )
        return Console(token=token, access_url=access_url(base[console_type], token), connect_info=info).to_wire()


class FakeConsoleAuth:
    """The part of nova-consoleauth that the API calls, simulated."""

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, Any]] = {}
        self.changes: list[tuple[str, dict[str, Any]]] = []
        self.unanswered: list[str] = []
        self.history: list[dict[str, Any]] = []
        self.changed = 1
        self.expires_at = 600.0

    async def serve(self, transport: MemoryTransport) -> Any:
        methods = {
            "authorize_console": self.authorize_console,
            "show_token": self.show_token,
            "revoke": self.revoke,
            "set_mode": self.set_mode,
            "get_history": self.get_history,
        }
        return await transport.serve("consoleauth", methods, binary="nova-consoleauth", host="controller")

    async def authorize_console(self, token_hash: str, **values: Any) -> Any:
        self.tokens[token_hash] = values
        return {"expires_at": self.expires_at}

    async def revoke(self, request: str, **wanted: Any) -> Any:
        self.changes.append(("revoke", wanted))
        return {"tokens": 3, "sessions": 2, "unanswered": self.unanswered}

    async def set_mode(self, **wanted: Any) -> Any:
        self.changes.append(("set_mode", wanted))
        return {"sessions": self.changed, "unanswered": self.unanswered}

    async def get_history(self, **wanted: Any) -> Any:
        self.changes.append(("get_history", wanted))
        return {"sessions": self.history, "next": "0-7"}

    async def show_token(self, token_hash: str) -> Any:
        if token_hash not in self.tokens:
            raise InvalidToken("unknown")
        info = ConnectInfo.from_wire(self.tokens[token_hash]["connect_info"])
        return {key: getattr(info, key) for key in ("instance_uuid", "host", "port", "internal_access_path")}


class InlinePool:
    """A thread pool without threads."""

    def callInThreadWithCallback(self, on_result: Any, function: Any, *args: Any, **kwargs: Any) -> None:
        on_result(True, function(*args, **kwargs))


class FakeReactor(Clock):
    """A clock with a thread pool."""

    def __init__(self) -> None:
        super().__init__()
        self.pool: Any = InlinePool()

    def getThreadPool(self) -> Any:
        return self.pool

    def callFromThread(self, function: Any, *args: Any) -> None:
        function(*args)


class System:
    """An API and the services that it calls.

    :ivar peer: the address of the client.
    """

    peer = "127.0.0.1"

    def __init__(self, auth: Any, *hosts: FakeHost, reactor: Any = None, **more: Any) -> None:
        self.reactor = reactor or FakeReactor()
        self.transport = MemoryTransport(self.reactor)
        self.hosts = hosts
        self.consoleauth = FakeConsoleAuth()
        self.site = make_site(
            self.reactor,
            consoleauth=ConsoleAuthAPI(self.transport),
            compute=ComputeAPI(self.transport),
            transport=self.transport,
            auth=auth,
            now=self.reactor.seconds,
            **more,
        )

    async def start(self) -> "System":
        await self.transport.start()
        self.undo = [await part.serve(self.transport) for part in (*self.hosts, self.consoleauth)]
        return self

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Connection:
        connection = Connection(self.site, peer=self.peer)
        lines = {"Host": "localhost:8774"} | {name.replace("_", "-"): value for name, value in headers.items()}
        content = b""
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            lines = {"Content-Type": "application/json", "Content-Length": str(len(content))} | lines
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items())])
        connection.send(head.encode("latin-1") + b"\r\n\r\n" + content)
        return connection

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        (answer,) = self.send(method, path, body, **headers).answers()
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("POST", path, body, **headers)


def running(test: Any, auth: Any, *hosts: FakeHost, **more: Any) -> System:
    """Start a system, in a test without a reactor."""
    return test.successResultOf(Deferred.fromCoroutine(System(auth, *hosts, **more).start()))


def publish(test: Any, system: System, host: str, *instances: dict[str, Any]) -> None:
    """Publish the servers of a compute host, as the host itself does."""
    test.successResultOf(Deferred.fromCoroutine(published.publish(system.transport.store, host, instances)))
