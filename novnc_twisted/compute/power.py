"""Power actions on the domains of this host.

The states that allow an action are those of nova (``nova/compute/api.py``, ``check_instance_state`` of start, stop,
reboot, pause, unpause, suspend, resume), with these exceptions:

* START is also allowed if the memory of the domain is saved.  nova calls such a server suspended, and only resumes or
  reboots it.
* In libvirt's state ``shutdown`` (the guest is shutting down), only STOP and RESET are allowed, although nova calls
  such a server active.
* An action that would delete a transient domain is refused.

A caller gets its answer when the action has begun.  As with nova, the caller sees from the server's state when the
action has ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from novnc_twisted.access.display import one_line
from novnc_twisted.compute.domain_xml import Domain
from novnc_twisted.compute.interfaces import Change, DomainEvent, IDriver, Operation
from novnc_twisted.contract import power
from novnc_twisted.contract.power import PowerReply
from novnc_twisted.errors import InstanceNotFound, Refusal

SHUTDOWN_TIMEOUT: Final = 60.0
"""Seconds for a guest to shut down after the request to do so (nova's ``shutdown_timeout``)."""

_CREATE, _DESTROY = Operation.CREATE, Operation.DESTROY

# The actions have nova's names; but REBOOT is nova's soft reboot, and RESET its hard reboot.  Most states and
# operations have libvirt's names.  nova's "pause" is libvirt's "suspend", and nova's "suspend" is a managed save, which
# leads to the state "saved".  The state "suspended" is another one: the guest has put itself to sleep (pmsuspended).
_PLANS: Final[Mapping[str, Mapping[str, tuple[Operation, ...]]]] = MappingProxyType(
    {
        power.START: {"shutoff": (_CREATE,), "saved": (Operation.RESTORE,)},
        power.STOP: {**dict.fromkeys(("running", "shutdown"), (Operation.SHUTDOWN,)), "crashed": (_DESTROY,)},
        power.REBOOT: {"running": (Operation.REBOOT,)},
        power.RESET: {
            "running": (Operation.RESET,),
            "shutdown": (Operation.RESET,),
            "paused": (Operation.RESET, Operation.RESUME),
            **dict.fromkeys(("suspended", "crashed"), (_DESTROY, _CREATE)),
            "shutoff": (_CREATE,),
            "saved": (Operation.BOOT,),
        },
        power.PAUSE: {"running": (Operation.SUSPEND,)},
        power.UNPAUSE: {"paused": (Operation.RESUME,)},
        power.SUSPEND: {"running": (Operation.SAVE,)},
        power.RESUME: {"saved": (Operation.RESTORE,), "suspended": (Operation.WAKE,)},
    }
)
"""Action -> the states that allow it -> the operations for it."""

_TASKS: Final = MappingProxyType(
    {
        power.START: "powering-on",
        power.STOP: "powering-off",
        power.REBOOT: "rebooting",
        power.RESET: "rebooting_hard",
        power.PAUSE: "pausing",
        power.UNPAUSE: "unpausing",
        power.SUSPEND: "suspending",
        power.RESUME: "resuming",
    }
)
"""Action -> nova's ``task_state`` while the action runs."""

_ENDING: Final = frozenset((Operation.SHUTDOWN, Operation.DESTROY, Operation.SAVE))
"""Operations that would delete a transient domain."""

_log = Logger()


@dataclass(eq=False, slots=True)
class _Task:
    """A running action.

    :ivar name: nova's ``task_state`` for the action.
    :ivar timer: runs while the guest shuts down; None: no shutdown is awaited.
    :ivar has_stopped: whether the domain stopped, was undefined or has migrated after the action began.
    """

    name: str
    timer: IDelayedCall | None = None
    has_stopped: bool = False

    def end(self) -> None:
        if self.timer is not None and self.timer.active():
            self.timer.cancel()


class PowerActions:
    """Begins power actions, one at a time for each domain.

    :ivar shutdown_timeout: seconds after which a guest that does not shut down is switched off; 0: never.
    """

    def __init__(self, driver: IDriver, shutdown_timeout: float = SHUTDOWN_TIMEOUT) -> None:
        self._driver = driver
        self.shutdown_timeout = shutdown_timeout
        self._tasks: dict[str, _Task] = {}

    async def begin(self, uuid: str, action: str) -> PowerReply:
        """Begin an action, and answer without waiting for its end.

        :param uuid: in lower case.
        :param action: one of :data:`novnc_twisted.contract.power.ACTIONS`.
        :raises InstanceNotFound: this host has no such domain.
        :raises ServiceUnavailable: libvirt does not answer.
        """
        task = _Task(_TASKS[action])
        domain = await self._driver.get_domain(uuid)
        operations = () if domain.migrating else _PLANS[action].get(domain.state, ())
        busy = self._tasks.get(uuid)
        # A hard reboot (RESET) can replace any other running action, because a guest may ignore a request to reboot or
        # to shut down.  (nova permits a hard reboot during most actions, but not during START and STOP.)  A hard reboot
        # must not replace another hard reboot: many of them would occupy all threads for power actions.
        if busy is not None and (action != power.RESET or busy.name == task.name):
            return PowerReply(state=domain.state, conflict=power.BUSY, task=busy.name)
        if domain.migrating:
            return PowerReply(state=domain.state, conflict=power.BUSY, task="migrating")
        if not operations:
            return PowerReply(state=domain.state, conflict=power.WRONG_STATE)
        if not _ENDING.isdisjoint(operations) and not await self._driver.is_persistent(uuid):
            return PowerReply(state=domain.state, conflict=power.TRANSIENT)
        if self._tasks.get(uuid) is not busy:
            # While libvirt was asked, another action began or ended, so the state may have changed: begin again.
            return await self.begin(uuid, action)
        if busy is not None:
            busy.end()
        self._tasks[uuid] = task
        Deferred.fromCoroutine(self._run(domain, action, task, operations))
        return PowerReply(state=domain.state)

    def changed(self, event: DomainEvent) -> None:
        """Handle an event of the driver: if a domain stops, is undefined or migrates, stop waiting for its shutdown."""
        if event.change in (Change.STOPPED, Change.UNDEFINED, Change.MIGRATED):
            task = self._tasks.get(event.uuid)
            if task is not None:
                task.has_stopped = True
                # Without a timer, operations are still running, and _run() ends the task after the last operation.
                if task.timer is not None:
                    self._end(event.uuid, task)

    def stop(self) -> None:
        """Stop waiting for guests to shut down; guests that have not shut down are not switched off."""
        for uuid, task in list(self._tasks.items()):
            self._end(uuid, task)

    async def _run(self, domain: Domain, action: str, task: _Task, operations: tuple[Operation, ...]) -> None:
        """Do the operations, and log a failure: the caller already has its answer."""
        name = one_line(domain.name)
        _log.info("power action {action} on {name} ({uuid})", action=action, name=name, uuid=domain.uuid)
        try:
            await self._driver.operate(domain.uuid, operations)
        except Refusal as refusal:
            _log.error(
                "power action {action} on {name} failed: {reason}", action=action, name=name, reason=str(refusal)
            )
        except Exception:
            _log.failure("power action {action} on {name} failed", action=action, name=name)
        else:
            if self._is_shutting_down(domain.uuid, task, operations):
                seconds = self.shutdown_timeout  # a reload may change the option before the timer fires
                task.timer = self._driver.clock.callLater(seconds, self._switch_off, domain, task, seconds)
                return
        self._end(domain.uuid, task)

    def _is_shutting_down(self, uuid: str, task: _Task, operations: tuple[Operation, ...]) -> bool:
        waits = Operation.SHUTDOWN in operations and self.shutdown_timeout > 0
        return waits and not task.has_stopped and self._tasks.get(uuid) is task

    def _switch_off(self, domain: Domain, task: _Task, seconds: float) -> None:
        _log.warn(
            "{name} did not shut down within {seconds:g} s ([DEFAULT] shutdown_timeout) and is switched off",
            name=one_line(domain.name),
            seconds=seconds,
        )
        Deferred.fromCoroutine(self._destroy(domain, task))

    async def _destroy(self, domain: Domain, task: _Task) -> None:
        try:
            # If changed() has ended the task (the domain stopped), or a hard reboot has replaced it, an active domain
            # was started or reset by a user, so do not switch it off.
            if (await self._driver.get_domain(domain.uuid)).active and self._tasks.get(domain.uuid) is task:
                await self._driver.operate(domain.uuid, (Operation.DESTROY,))
        except InstanceNotFound:
            pass
        except Refusal as refusal:
            _log.error("{name} can't be switched off: {reason}", name=one_line(domain.name), reason=str(refusal))
        except Exception:
            _log.failure("{name} can't be switched off", name=one_line(domain.name))
        finally:
            self._end(domain.uuid, task)

    def _end(self, uuid: str, task: _Task) -> None:
        task.end()
        if self._tasks.get(uuid) is task:
            del self._tasks[uuid]
