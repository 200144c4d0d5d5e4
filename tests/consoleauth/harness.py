"""consoleauth on a test clock, with compute hosts whose answers the test sets."""

from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from novnc_twisted.consoleauth import ConsoleAuthAPI, ConsoleAuthManager
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import InstanceNotFound, Refusal
from novnc_twisted.messaging.memory import MemoryTransport
from tests.support.handed_out import secret

VM = "11111111-2222-3333-4444-555555555555"
OTHER_VM = "99999999-2222-3333-4444-555555555555"
TOKEN = secret(str(uuid4()))
VIEWER = "192.0.2.7"
ELSEWHERE = "198.51.100.1"
UNSET = object()

STATES = {"pause": "paused", "unpause": "running"}
"""Power actions that change the state of a console here."""


class Host:
    """A compute host.  The test sets what it runs and refuses; it records the methods that were called."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.consoles: dict[str, dict[str, Any]] = {}
        self.refusals: dict[str, Refusal] = {}
        self.conflict: str | None = None
        self.passwords: dict[str, str | None] = {}
        self.asked: list[str] = []
        self.hangs = False
        self.held: dict[str, Deferred[None]] = {}  # method -> what its next call waits for
        self.address_answer: Any = UNSET

    def run(
        self,
        uuid: str = VM,
        port: int = 5900,
        socket: str | None = None,
        name: str = "myserver20",
        owner: str | None = None,
    ) -> None:
        self.consoles[uuid] = {"host": self.address, "port": port, "socket": socket, "name": name}
        if owner is not None:
            self.consoles[uuid]["owners"] = [owner, f"name of {owner}"] if owner else []

    async def get_instance(self, instance_uuid: str) -> dict[str, Any]:
        self.asked.append("get_instance")
        await self._answer(instance_uuid)
        if instance_uuid not in self.consoles:
            raise InstanceNotFound("")
        return {"uuid": instance_uuid}

    async def validate_console_port(self, instance_uuid: str, console_type: str, port: int | None) -> dict[str, Any]:
        self.asked.append("validate_console_port")
        await self._answer(instance_uuid)
        if instance_uuid not in self.consoles:
            raise InstanceNotFound("")
        return self.consoles[instance_uuid]

    async def get_vnc_password(self, instance_uuid: str) -> dict[str, Any]:
        self.asked.append("get_vnc_password")
        await self._answer(instance_uuid)
        return {"password": self.passwords.get(instance_uuid)}

    async def change_power(self, instance_uuid: str, action: str) -> dict[str, Any]:
        self.asked.append(f"change_power {action}")
        await self._answer(instance_uuid)
        if self.conflict is None and action in STATES:
            self.consoles[instance_uuid]["state"] = STATES[action]
        return {"state": "running", "conflict": self.conflict}

    async def get_instances_at_address(self, host: str, port: int, socket: str | None) -> dict[str, Any]:
        self.asked.append("get_instances_at_address")
        await self._answer("")
        if self.address_answer is not UNSET:
            return self.address_answer  # type: ignore[no-any-return]
        here = host == self.address
        return {"instances": [vm for vm, at in self.consoles.items() if here and at["port"] == port]}

    async def _answer(self, uuid: str) -> None:
        held = self.held.pop(self.asked[-1].partition(" ")[0], None)
        if held is not None:
            await held
        if self.hangs:
            await Deferred()
        if uuid in self.refusals:
            raise self.refusals[uuid]


class ConsoleAuthCase(TestCase):
    """A manager and a ConsoleAuthAPI over ``memory://``."""

    async def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.transport = MemoryTransport(self.clock)
        await self.transport.start()
        self.addCleanup(self.transport.stop)
        self.api = ConsoleAuthAPI(self.transport, now=self.clock.seconds)
        self.hosts: dict[str, Host] = {}
        self.gone: dict[str, Any] = {}

    async def serve(self, **policy: Any) -> ConsoleAuthManager:
        manager = self.manager(now=self.clock.seconds, **policy)
        await manager.start()
        return manager

    def manager(self, **policy: Any) -> ConsoleAuthManager:
        """Return a manager that does not serve yet."""
        return ConsoleAuthManager(self.transport, self.clock, **policy)

    async def host(self, name: str = "one", address: str | None = None) -> Host:
        host = self.hosts[name] = Host(address or f"{name}.example")
        self.gone[name] = await self.transport.serve(
            f"compute.{name}",
            {
                "get_instance": host.get_instance,
                "validate_console_port": host.validate_console_port,
                "get_vnc_password": host.get_vnc_password,
                "change_power": host.change_power,
                "get_instances_at_address": host.get_instances_at_address,
            },
            binary="nova-compute",
            host=name,
            place=host.address,
        )
        return host

    async def token(self, token: str = TOKEN, **fields: Any) -> float:
        asked: dict[str, Any] = {
            "console_type": "novnc",
            "host": "one.example",
            "port": 5900,
            "instance_uuid": VM,
            "name": "myserver20",
            "user_id": "u",
            "project_id": "p",
            "compute_host": "one",
        }
        more = {
            name: fields.pop(name) for name in ("client_address", "owner", "expires_in", "one_time") if name in fields
        }
        return await self.api.authorize_console(token, ConnectInfo(**{**asked, **fields}), **more)

    async def delete_tokens(self, uuid: str = VM) -> int:
        """Drop the tokens of a server as the API does; return how many there were."""
        answer = await self.transport.call("consoleauth", "delete_tokens_for_instance", instance_uuid=uuid)
        return int(answer["deleted"])

    async def check(self, token: str = TOKEN, console_type: str = "novnc", viewer: str = VIEWER) -> Any:
        return await self.api.check_token(token, console_type, viewer)

    async def refused(self, kind: type[Refusal], work: Any) -> Refusal:
        """Assert that the work is refused, and return the refusal."""
        return await self.assertFailure(Deferred.fromCoroutine(work), kind)
