"""The log has the cause of each 503 once when it begins, and once when it is over."""

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api.outages import MAX_CAUSES, MAX_QUIET, SETTLED, Outages, Work
from novnc_twisted.errors import ConsoleUnreachable, ServiceUnavailable
from novnc_twisted.identity import NoAuth
from tests.api.harness import FakeHost, FakeReactor, System, instance, running, uuid_of
from tests.api.users import TOKENS, UsersCase, basic, log_in
from tests.support.logged import Logged

HERE, THERE = Work("show", ("here",)), Work("show", ("there",))
LIST = Work("list")


class OutageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.outages = Outages(self.clock)
        self.log = Logged(self)

    def counts(self) -> tuple[int, int]:
        return len(self.log.lines("are refused with")), len(self.log.lines("are answered again"))

    def test_once(self) -> None:
        for _ in range(1000):
            self.outages.refused("consoleauth did not answer within 5 s", HERE)
            self.clock.advance(0.1)
        self.assertEqual(self.counts(), (1, 0))
        (line,) = self.log.lines()
        self.assertEqual(
            line,
            "Requests are refused with 503: consoleauth did not answer within 5 s. Is consoleauth running, with the "
            "same [DEFAULT] transport_url? Further refusals for this cause are counted but not logged until it is over",
        )

    def test_over(self) -> None:
        for _ in range(3):
            self.outages.refused("nobody serves consoleauth", HERE)
        self.clock.advance(4)
        self.outages.answered(LIST)
        self.assertEqual(self.counts(), (1, 0), "another kind of request proves nothing")
        for _ in range(3):
            self.outages.answered(THERE)
        self.assertEqual(self.counts(), (1, 1))
        self.assertIn("It lasted up to 4 s; refused requests: 3", self.log.lines()[-1])

    def test_one_compute_host(self) -> None:
        """Answers about servers of other hosts do not show that the host is back; those about the same server do."""
        for cause in ("compute.host1 did not answer within 5 s", "compute host host1 is not alive"):
            self.log.clear()
            self.outages.refused(cause, HERE)
            self.outages.answered(THERE)
            self.assertEqual(self.counts(), (1, 0))
            self.outages.answered(HERE)
            self.assertEqual(self.counts(), (1, 1))

    def test_all_compute_hosts(self) -> None:
        """Any host's answer ends an outage of all hosts, even if the cause names one host."""
        for why in ("compute.host1 did not answer within 5 s", "libvirt of compute host host1 does not answer"):
            self.log.clear()
            self.outages.refused(f"no compute host answers: {why}", HERE)
            self.outages.answered(THERE)
            self.assertEqual(self.counts(), (1, 1))

    def test_the_same_request_never_comes_again(self) -> None:
        self.outages.refused("compute.host1 did not answer within 5 s", HERE)
        self.clock.advance(SETTLED - 1)
        self.outages.answered(LIST)
        self.assertEqual(self.counts(), (1, 0))
        self.clock.advance(1)
        self.outages.answered(LIST)
        self.assertEqual(self.counts(), (1, 1))

    def test_a_recurring_cause(self) -> None:
        for _ in range(3600):
            self.outages.refused("nobody serves consoleauth", HERE)
            self.clock.advance(0.5)
            self.outages.answered(HERE)
            self.clock.advance(0.5)
        self.assertEqual(self.counts(), (2, 1))
        self.clock.advance(MAX_QUIET)
        self.outages.answered(HERE)
        self.assertEqual(self.counts(), (2, 2))

    def test_several_causes(self) -> None:
        self.outages.refused("nobody serves consoleauth", HERE)
        self.outages.refused("no compute host is live", LIST)
        self.outages.answered(LIST)
        self.assertEqual(self.counts(), (2, 1))

    def test_the_id_of_a_server_makes_no_new_cause(self) -> None:
        for number in range(100):
            server = uuid_of(f"vm{number}")
            self.outages.refused(
                f"{server}: compute host host1, which last had the server, is not alive", Work("show", (server,))
            )
        self.assertEqual(self.counts(), (1, 0))
        self.assertIn(
            "503: a server: compute host host1, which last had the server, is not alive.", self.log.lines()[0]
        )

    def test_any_number_of_causes(self) -> None:
        for number in range(10 * MAX_CAUSES):
            self.outages.refused(f"compute.host{number} did not answer", HERE)
        self.log.clear()
        self.outages.answered(HERE)
        self.assertEqual(self.counts(), (0, MAX_CAUSES))


class TroubledHost(FakeHost):
    """Raises ``trouble``, if the test has set it."""

    trouble: Exception | None = None

    async def get_instance(self, instance_uuid: str) -> Any:
        if self.trouble is not None:
            raise self.trouble
        return await super().get_instance(instance_uuid)


class APITests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.host = TroubledHost("host1", instance("one"))
        self.system: System = running(self, NoAuth(), self.host, reactor=self.reactor)
        self.log = Logged(self)
        self.path = f"/v2.1/servers/{uuid_of('one')}"
        self.body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}

    def console(self) -> int:
        path = f"{self.path}/remote-consoles"
        return self.system.post(path, self.body, OpenStack_API_Version="compute 2.6").status

    def test_consoleauth_does_not_run(self) -> None:
        stop = self.system.undo[-1]
        self.successResultOf(stop())
        self.assertEqual([self.console() for _ in range(5)], [503] * 5)
        (line,) = self.log.lines("503:")
        self.assertIn("nobody serves consoleauth. Is consoleauth running, with the same [DEFAULT] transport_url?", line)
        self.successResultOf(Deferred.fromCoroutine(self.system.consoleauth.serve(self.system.transport)))
        self.assertEqual(self.console(), 200)
        (line,) = self.log.lines("Requests are answered again after an outage: nobody serves consoleauth")
        self.assertIn("refused requests: 5", line)

    def test_pages(self) -> None:
        """Files, the log-in form and errors ask no other service, so they do not show that an outage is over."""
        page = f"/console/servers/{uuid_of('one')}"
        self.host.trouble = ServiceUnavailable("libvirt at qemu:///system hangs")
        self.assertEqual(self.system.get(page).status, 503)
        for path in ("favicon.svg", "assets/none.js", "login", "nothing", "servers/x", "split"):
            self.assertLess(self.system.get(f"/console/{path}").status, 500)
        self.assertEqual(self.system.post("/console/", {}).status, 405)
        self.assertEqual(self.log.lines("answered again"), [])
        self.host.trouble = None
        self.assertEqual(self.system.get(page).status, 200)
        self.assertEqual(len(self.log.lines("answered again")), 1)

    def test_pages_of_other_servers(self) -> None:
        """They do not show that a host answers again; another page of the same server does."""
        other = FakeHost("host2", instance("two"), instance("three"))
        self.system = running(self, NoAuth(), self.host, other, reactor=self.reactor)
        one, two, three = (uuid_of(name) for name in ("one", "two", "three"))
        for page in (f"servers/{one}", f"split?server={one}&server={two}"):
            self.host.trouble = ServiceUnavailable("libvirt at qemu:///system hangs")
            self.assertEqual(self.system.get(f"/console/{page}").status, 503)
            for answered in ("", f"servers/{two}", f"split?server={two}&server={three}"):
                self.assertEqual(self.system.get(f"/console/{answered}").status, 200)
            self.assertEqual(self.log.lines("answered again"), [])
            self.host.trouble = None
            self.assertEqual(self.system.get(f"/console/{page}").status, 200)
            self.assertEqual(len(self.log.lines("answered again")), 1)
            self.log.clear()
            self.reactor.advance(MAX_QUIET)

    def test_no_compute_host(self) -> None:
        self.successResultOf(self.system.undo[0]())
        for path in ("/v2.1/servers", "/v2.1/servers/detail", self.path):
            self.assertEqual(self.system.get(path).status, 503)
        self.assertIn("Is consolecompute running there", self.log.lines("503:")[0])
        self.assertLessEqual(len(self.log.lines("503:")), 2)

    def test_the_reason_of_a_host(self) -> None:
        self.host.trouble = ServiceUnavailable("libvirt at qemu:///system\x1b[2J\r\nforged did not answer")
        for _ in range(3):
            self.assertEqual(self.system.get(self.path).status, 503)
        (line,) = self.log.lines("503: compute host host1: libvirt at qemu:///system?[2J??forged did not answer")
        self.assertTrue(line.isprintable())
        self.assertIn("See [libvirt] connection_uri of that host", line)

    def test_the_reasons_of_other_refusals(self) -> None:
        """The log has the reason of a refusal with another status than 503."""
        self.host.trouble = ConsoleUnreachable("two servers claim port 5900")
        self.assertEqual(self.console(), 502)
        self.assertEqual(len(self.log.lines("is refused: ConsoleUnreachable: two servers claim port 5900")), 1)

    def test_the_transport_is_gone(self) -> None:
        self.successResultOf(self.system.transport.stop())
        for path in ("/v2.1/servers", self.path, "/v2.1/os-services"):
            self.assertEqual(self.system.get(path).status, 503)
        (line,) = self.log.lines("503:")
        self.assertIn("the transport is not started. See [DEFAULT] transport_url.", line)


class LogInTests(UsersCase):
    def test_the_store_is_gone(self) -> None:
        self.system.transport.store.put_new = lambda *_: failing()
        log = Logged(self)
        for _ in range(3):
            self.assertEqual(self.system.post(TOKENS, log_in("alice", "r3d:pass")).status, 503)
        self.assertEqual(len(log.lines("refused with 503: Redis did not answer. See [DEFAULT] transport_url.")), 1)
        del self.system.transport.store.put_new
        self.assertEqual(self.system.post(TOKENS, log_in("alice", "r3d:pass")).status, 201)
        self.assertEqual(len(log.lines("again after an outage: Redis did not answer")), 1)

    def test_too_many_log_ins(self) -> None:
        class NoThreads:
            def callInThreadWithCallback(self, *_: Any) -> None:
                """Ignore the call."""

        self.reactor.pool = NoThreads()
        log = Logged(self)
        for number in range(110):
            self.system.send("GET", "/v2.1/servers", Authorization=basic("alice", f"{number}"))
        self.assertEqual(len(log.lines("503: Too many people log in at the same time")), 1)


def failing() -> Deferred[Any]:
    """Return the failure of a store whose Redis does not answer."""
    return fail(ServiceUnavailable("Redis did not answer"))
