"""Power actions: nova's rules, the operations on domains, and guests that do not shut down."""

from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.compute.interfaces import Change
from novnc_twisted.compute.interfaces import Operation as Op
from novnc_twisted.contract.instance import Instance
from novnc_twisted.contract.power import ACTIONS, PowerReply
from novnc_twisted.errors import InstanceNotFound, ServiceUnavailable
from tests.compute.harness import A, B, ComputeCase, domain
from tests.support.logged import Logged

STATES = ("running", "paused", "shutdown", "shutoff", "saved", "suspended", "crashed", "nostate")
INACTIVE = ("shutoff", "saved", "nostate")

PLANS: dict[str, dict[str, list[Op]]] = {
    "start": {"shutoff": [Op.CREATE], "saved": [Op.RESTORE]},
    "stop": {"running": [Op.SHUTDOWN], "shutdown": [Op.SHUTDOWN], "crashed": [Op.DESTROY]},
    "reboot": {"running": [Op.REBOOT]},
    "reset": {
        "running": [Op.RESET],
        "shutdown": [Op.RESET],
        "paused": [Op.RESET, Op.RESUME],
        "shutoff": [Op.CREATE],
        "saved": [Op.BOOT],
        "suspended": [Op.DESTROY, Op.CREATE],
        "crashed": [Op.DESTROY, Op.CREATE],
    },
    "pause": {"running": [Op.SUSPEND]},
    "unpause": {"paused": [Op.RESUME]},
    "suspend": {"running": [Op.SAVE]},
    "resume": {"saved": [Op.RESTORE], "suspended": [Op.WAKE]},
}


class PowerTests(ComputeCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.driver = await self.host(shutdown_timeout=60.0)
        self.driver.add(domain())

    async def act(self, action: Any, uuid: Any = A) -> PowerReply:
        return PowerReply.from_wire(await self.call("change_power", instance_uuid=uuid, action=action))

    def done(self) -> list[Op]:
        return [operation for _, operation in self.driver.operations]

    async def test_every_action_in_every_state(self) -> None:
        for action in ACTIONS:
            for state in STATES:
                self.driver.operations.clear()
                self.driver.add(domain(state=state, active=state not in INACTIVE))
                reply = await self.act(action)
                expected = PLANS[action].get(state, [])
                self.assertEqual(self.done(), expected, f"{action} while {state}")
                self.assertEqual((reply.conflict, reply.state), (None if expected else "state", state))
                self.driver.tell(Change.STOPPED, A)  # ends the wait for a shutdown

    async def test_a_transient_domain_is_never_ended(self) -> None:
        self.driver.transient.add(A)
        for action, state in (("stop", "running"), ("suspend", "running"), ("reset", "crashed"), ("stop", "crashed")):
            self.driver.add(domain(state=state))
            self.assertEqual((await self.act(action)).conflict, "transient", action)
        self.assertEqual(self.done(), [])
        self.driver.add(domain())
        for action in ("reset", "reboot", "pause"):
            self.assertIsNone((await self.act(action)).conflict)

    async def test_a_guest_that_does_not_shut_down_is_switched_off(self) -> None:
        await self.act("stop")
        self.clock.advance(59)
        self.assertEqual(self.done(), [Op.SHUTDOWN])
        self.clock.advance(1)
        self.assertEqual(self.done(), [Op.SHUTDOWN, Op.DESTROY])
        self.assertIsNone((await self.act("pause")).conflict)

    async def test_the_timeout_changes_while_a_guest_shuts_down(self) -> None:
        """The guest keeps the old timeout, and the log names it."""
        log = Logged(self)
        await self.act("stop")
        self.managers["one"].use_shutdown_timeout(300)
        self.clock.advance(60)
        self.assertEqual(len(log.lines("did not shut down within 60 s")), 1)

    async def test_a_guest_that_shuts_down_is_left_alone(self) -> None:
        await self.act("stop")
        self.driver.add(domain(state="shutoff", active=False))
        self.driver.tell(Change.STOPPED, A)
        await self.act("start")
        self.driver.add(domain())
        self.clock.advance(120)
        self.assertEqual(self.done(), [Op.SHUTDOWN, Op.CREATE])

    async def test_it_stops_before_libvirt_has_answered(self) -> None:
        self.driver.working = Deferred()
        await self.act("stop")
        self.driver.tell(Change.STOPPED, A)
        self.driver.working.callback(None)
        self.driver.working = None
        self.assertEqual((await self.act("stop")).conflict, None)

    async def test_one_action_at_a_time(self) -> None:
        await self.act("stop")
        for action in ACTIONS:
            if action != "reset":
                reply = await self.act(action)
                self.assertEqual((reply.conflict, reply.task), ("task", "powering-off"), action)
        await self.act("reset")
        self.clock.advance(120)
        self.assertEqual(self.done(), [Op.SHUTDOWN, Op.RESET])

    async def test_one_reset_at_a_time(self) -> None:
        """Many of them would occupy all threads, and no other domain of the host could be started or stopped."""
        self.driver.working = Deferred()
        await self.act("stop")
        replies = [(await self.act("reset")).conflict for _ in range(300)]
        self.assertEqual(replies, [None] + ["task"] * 299)
        self.driver.working.callback(None)
        self.assertEqual(self.done(), [Op.SHUTDOWN, Op.RESET])
        self.assertIsNone((await self.act("reset")).conflict)

    async def test_another_action_begins_while_libvirt_is_asked(self) -> None:
        """The refusal names the running action, not the refused one."""
        asked = self.driver.persistent = Deferred()
        stop = Deferred.fromCoroutine(self.act("stop"))
        self.driver.persistent = None
        self.driver.working = Deferred()
        await self.act("pause")
        asked.callback(True)
        reply = await stop
        self.assertEqual((reply.conflict, reply.task), ("task", "pausing"))
        self.assertEqual(self.done(), [Op.SUSPEND])

    async def test_the_action_ends_while_libvirt_is_asked(self) -> None:
        """The reset is done, with the operations for the new state."""
        self.driver.add(domain(state="crashed"))
        self.driver.working = Deferred()
        await self.act("stop")
        asked = self.driver.persistent = Deferred()
        reset = Deferred.fromCoroutine(self.act("reset"))
        self.driver.add(domain(state="shutoff", active=False))
        self.driver.working.callback(None)
        self.driver.working = self.driver.persistent = None
        asked.callback(True)
        self.assertIsNone((await reset).conflict)
        self.assertEqual(self.done(), [Op.DESTROY, Op.CREATE])

    async def test_other_domains_are_not_busy(self) -> None:
        self.driver.add(domain(B))
        await self.act("stop")
        self.assertIsNone((await self.act("stop", B.upper())).conflict)

    async def test_a_migrating_domain(self) -> None:
        self.driver.add(domain(state="paused", migrating=True))
        for action in ACTIONS:
            reply = await self.act(action)
            self.assertEqual((reply.conflict, reply.task), ("task", "migrating"), action)

    async def test_no_limit(self) -> None:
        driver = await self.host("unlimited", shutdown_timeout=0)
        driver.add(domain())
        await self.call("change_power", "unlimited", instance_uuid=A, action="stop")
        self.clock.advance(10_000)
        self.assertEqual([operation for _, operation in driver.operations], [Op.SHUTDOWN])

    async def test_failures_are_logged(self) -> None:
        for error in (ServiceUnavailable("libvirt refused it"), RuntimeError("unforeseen")):
            self.driver.working = Deferred()
            await self.act("pause")
            self.driver.working.errback(error)
            self.driver.working = None
            self.assertIsNone((await self.act("pause")).conflict)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_it_cannot_be_switched_off(self) -> None:
        """This is logged, and the next action is accepted."""
        log = Logged(self)
        for error in (ServiceUnavailable("libvirt refused it"), RuntimeError("unforeseen")):
            await self.act("stop")
            self.driver.working = Deferred()
            self.clock.advance(60)
            self.driver.working.errback(error)
            self.driver.working = None
            self.assertIsNone((await self.act("pause")).conflict)
            self.driver.add(domain())
        self.assertEqual(len(log.lines("can't be switched off")), 2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_wrong_arguments(self) -> None:
        for action in ("destroy", "", None, 5, ["start"]):
            await self.refused(ServiceUnavailable, self.act(action))
        for uuid in (B, "x", None):
            await self.refused(InstanceNotFound, self.act("stop", uuid))
        self.driver.down = True
        await self.refused(ServiceUnavailable, self.act("stop"))
        self.assertEqual(self.done(), [])

    async def test_stopping_the_service_switches_nothing_off(self) -> None:
        await self.act("stop")
        await self.managers["one"].stop()
        self.clock.advance(120)
        self.assertEqual(self.done(), [Op.SHUTDOWN])

    async def test_the_caller(self) -> None:
        reply = await self.api.change_power(Instance(uuid=A, name="x", state="running", host="one"), "pause")
        self.assertEqual((reply.state, reply.conflict), ("running", None))


class SplitBrain(ComputeCase):
    """A server must not be started while it may still run on a host that does not answer."""

    async def test_its_last_host_is_not_alive(self) -> None:
        there, here = await self.host("there"), await self.host("here")
        there.add(domain())
        here.add(domain(state="shutoff", active=False))
        for driver in (there, here):
            driver.tell(Change.CONNECTED)
        self.clock.pump([0.1] * 20)
        await self.managers["there"].stop()
        self.clock.pump([1.0] * 10)
        found = await self.api.find(A)
        self.assertEqual((found.host, found.state), ("here", "shutoff"))
        for action in ("start", "reset"):
            refusal = await self.refused(ServiceUnavailable, self.api.change_power(found, action))
            self.assertIn("compute host there, which last ran the server, does not answer", refusal.detail)
        self.assertEqual(here.operations, [])
