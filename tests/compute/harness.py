"""Compute hosts with a simulated clock, and with drivers whose answers the test sets."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from novnc_twisted.compute import ComputeAPI, ComputeManager
from novnc_twisted.compute.domain_xml import Domain, Vnc
from novnc_twisted.compute.interfaces import ActiveConsole, Change, DomainEvent, IDriver, Operation, Picture
from novnc_twisted.compute.publisher import DomainPublisher
from novnc_twisted.errors import InstanceNotFound, Refusal, ServiceUnavailable
from novnc_twisted.messaging.memory import MemoryTransport

A = "aaaaaaaa-2222-3333-4444-555555555555"
B = "bbbbbbbb-2222-3333-4444-555555555555"


def domain(uuid: str = A, name: str = "myserver20", port: int | None = 5900, **more: Any) -> Domain:
    """Return a running domain."""
    vnc = Vnc(port=port, listens=("127.0.0.1",))
    return Domain(
        **{
            "uuid": uuid,
            "name": name,
            "vnc": vnc,
            "active": True,
            "state": "running",
            "power_state": 1,
            "vcpus": 1,
            "memory_mb": 16,
            **more,
        }
    )


@implementer(IDriver)
class FakeDriver:
    """A driver whose domains are in a dictionary."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.domains: dict[str, Domain] = {}
        self.passwords: dict[str, str] = {}
        self.down = False
        self.asked: list[str] = []
        self.stopped = False
        self.transient: set[str] = set()
        self.operations: list[tuple[str, Operation]] = []
        self.shots: list[tuple[str, str, int | None]] = []
        self.shot: Deferred[Picture] | None = None
        self.keys: list[tuple[str, tuple[int, ...], int]] = []
        self.working: Deferred[None] | None = None
        self.persistent: Deferred[bool] | None = None
        self.listener: Callable[[DomainEvent], None] = lambda event: None

    def start(self, listener: Callable[[DomainEvent], None]) -> Deferred[None]:
        self.listener = listener
        return succeed(None)

    def stop(self) -> Deferred[None]:
        self.stopped = True
        return succeed(None)

    def add(self, *domains: Domain) -> None:
        self.domains.update({domain.uuid: domain for domain in domains})

    def tell(self, change: Change, uuid: str = "") -> None:
        self.listener(DomainEvent(change, uuid))

    def list_domains(self) -> Deferred[list[Domain]]:
        return self._give("list_domains", list(self.domains.values()))

    def get_domain(self, uuid: str) -> Deferred[Domain]:
        if uuid not in self.domains and not self.down:
            self.asked.append("get_domain")
            return fail(InstanceNotFound(""))
        return self._give("get_domain", self.domains.get(uuid))

    def domain_with_conflicts(self, uuid: str) -> Deferred[tuple[Domain, list[ActiveConsole]]]:
        others = [console for console in self._consoles() if console.uuid != uuid]
        return self.get_domain(uuid).addCallback(lambda domain: (domain, others))

    def active_consoles(self) -> Deferred[list[ActiveConsole]]:
        return self._give("active_consoles", self._consoles())

    def is_persistent(self, uuid: str) -> Deferred[bool]:
        if uuid not in self.domains and not self.down:
            return fail(InstanceNotFound(""))
        return self._give("is_persistent", uuid not in self.transient) if self.persistent is None else self.persistent

    def operate(self, uuid: str, operations: Sequence[Operation]) -> Deferred[None]:
        self.operations += [(uuid, operation) for operation in operations]
        return self._give("operate", None) if self.working is None else self.working

    def screenshot(self, uuid: str, kind: str, width: int | None) -> Deferred[Picture]:
        self.shots.append((uuid, kind, width))
        return self._give("screenshot", Picture(kind.encode(), width or 640, 480)) if self.shot is None else self.shot

    def send_keys(self, uuid: str, codes: Sequence[int], hold: int) -> Deferred[None]:
        self.keys.append((uuid, tuple(codes), hold))
        return self._give("send_keys", None)

    def get_vnc_password(self, uuid: str) -> Deferred[str | None]:
        return self._give("get_vnc_password", self.passwords.get(uuid))

    def _consoles(self) -> list[ActiveConsole]:
        return [ActiveConsole(d.uuid, d.name, d.vnc) for d in self.domains.values() if d.active and d.vnc]

    def _give(self, method: str, answer: Any) -> Deferred[Any]:
        self.asked.append(method)
        return fail(ServiceUnavailable("libvirt is down")) if self.down else succeed(answer)


class ComputeCase(TestCase):
    """Managers, and the API's calls to them, over ``memory://``."""

    async def setUp(self) -> None:
        self.clock = Clock()
        self.transport = MemoryTransport(self.clock)
        await self.transport.start()
        self.addCleanup(self.transport.stop)
        self.api = ComputeAPI(self.transport)
        self.managers: dict[str, ComputeManager] = {}
        self.drivers: dict[str, FakeDriver] = {}
        self.reports: list[str] = []

        def watch(event: dict[str, Any]) -> None:
            if "line" in event:
                self.reports.append(str(event["line"]))

        globalLogPublisher.addObserver(watch)
        self.addCleanup(globalLogPublisher.removeObserver, watch)

    async def host(self, name: str = "one", **settings: Any) -> FakeDriver:
        driver = self.drivers[name] = FakeDriver(self.clock)
        manager = self.managers[name] = ComputeManager(self.transport, driver, host=name, **settings)
        await manager.start()
        self.addCleanup(manager.stop)
        return driver

    async def call(self, method: str, on: str = "one", /, **arguments: Any) -> Any:
        return await self.transport.call(f"compute.{on}", method, **arguments)

    def waiting(self) -> list[DelayedCall]:
        """Return the delayed calls, without those of the publishers."""
        calls = self.clock.getDelayedCalls()
        return [call for call in calls if not isinstance(getattr(call.func, "__self__", None), DomainPublisher)]

    async def refused(self, kind: type[Refusal], work: Any) -> Refusal:
        """Return the refusal of this kind that ``work`` must raise."""
        return await self.assertFailure(Deferred.fromCoroutine(work), kind)
