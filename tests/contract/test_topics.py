"""The table of topics, methods and roles; the services serve exactly its methods."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.compute import ComputeManager
from novnc_twisted.consoleauth import ConsoleAuthManager
from novnc_twisted.contract.roles import COMPUTE as COMPUTE_ROLE
from novnc_twisted.contract.roles import PROXY as PROXY_ROLE
from novnc_twisted.contract.roles import ROLES, check_role, methods_for
from novnc_twisted.contract.topics import (
    BINARIES,
    COMPUTE,
    CONSOLEAUTH,
    PROXY,
    SESSIONS_BINARY,
    TOPICS,
    Topic,
    announced_as,
)
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.service.commands import ROLES as ROLES_OF_COMMANDS
from novnc_twisted.service.commands import SERVICES
from novnc_twisted.session.manager import SessionManager
from tests.compute.harness import FakeDriver


class NoSessions:
    """A registry without sessions."""

    def unchecked(self) -> list[Any]:
        """See ISessionRegistry."""
        return []

    def find(self, wanted: Any) -> list[Any]:
        return []


class RolesTests(SynchronousTestCase):
    """Roles, and the methods that each may call."""

    def test_methods_for(self) -> None:
        methods = {"a": 1, "b": 2, "c": 3}
        callers = {"a": ("api", "proxy"), "b": ("api",)}
        self.assertEqual(methods_for("proxy", methods, callers), {"a": 1})
        self.assertEqual(methods_for("api", methods, callers), {"a": 1, "b": 2})
        self.assertEqual(methods_for("compute", methods, callers), {})
        self.assertEqual(methods_for("", methods, callers), methods)
        self.assertEqual(methods_for("proxy", methods, None), methods)

    def test_check_role(self) -> None:
        for role in ("", *ROLES):
            self.assertEqual(check_role(role), role)
        self.assertRaises(ValueError, check_role, "compute.one")

    def test_each_command_has_a_role(self) -> None:
        self.assertEqual(ROLES_OF_COMMANDS.keys(), SERVICES.keys())
        self.assertEqual(set(ROLES_OF_COMMANDS.values()), {"", *ROLES})


class TopicTests(SynchronousTestCase):
    """Names of topics, and who may call them."""

    def test_names(self) -> None:
        self.assertEqual((CONSOLEAUTH.name, CONSOLEAUTH.pattern), ("consoleauth", "consoleauth"))
        self.assertEqual(
            (COMPUTE.of("host1"), COMPUTE.prefix, COMPUTE.pattern), ("compute.host1", "compute.", "compute.*")
        )
        self.assertEqual(COMPUTE.member("compute.host1.example"), "host1.example")
        self.assertEqual(PROXY.of("control", "1"), "proxy.control.1")
        self.assertEqual(announced_as("nova-novncproxy", "control"), "novncproxy.control")
        self.assertEqual(len({topic.name for topic in TOPICS}), len(TOPICS))
        self.assertEqual(len(set(BINARIES)), len(BINARIES))

    def test_the_methods_cannot_be_changed(self) -> None:
        methods: Any = CONSOLEAUTH.methods
        with self.assertRaises(TypeError):
            methods["other"] = ("proxy",)

    def test_an_unknown_role_is_refused(self) -> None:
        self.assertRaises(ValueError, Topic, "t", "nobody", {})
        self.assertRaises(ValueError, Topic, "t", "api", {"a": ("nobody",)})

    def test_callers(self) -> None:
        topic = Topic("t", "proxy", {"a": ("consoleauth", "api"), "b": ("api",)})
        self.assertEqual(topic.callers, ("api", "consoleauth"))
        self.assertEqual(topic.methods_of("api"), ("a", "b"))
        self.assertEqual(topic.methods_of("compute"), ())
        self.assertEqual({role for each in TOPICS for role in each.callers}, set(ROLES))

    def test_a_proxy_and_a_compute_host_may_call_little(self) -> None:
        """This limits what a stolen credential can do."""
        self.assertEqual(
            CONSOLEAUTH.methods_of(PROXY_ROLE),
            (
                *("check_token", "get_vnc_password", "change_power", "keep_token", "keep_tokens", "report_closed"),
                *("attend", "change_control", "share_console"),
            ),
        )
        self.assertEqual(CONSOLEAUTH.methods_of(COMPUTE_ROLE), ("instance_gone",))
        for topic in TOPICS:
            if topic is not CONSOLEAUTH:
                self.assertFalse({PROXY_ROLE, COMPUTE_ROLE} & set(topic.callers), topic.name)

    def test_the_services_serve_the_table(self) -> None:
        clock = Clock()
        transport = MemoryTransport(clock)
        self.successResultOf(transport.start())
        served: dict[str, Any] = {}
        serve = transport.serve

        def noted(topic: str, methods: Any, **options: Any) -> Any:
            served[topic] = (set(methods), options["callers"], options["binary"])
            return serve(topic, methods, **options)

        self.patch(transport, "serve", noted)
        self.successResultOf(ConsoleAuthManager(transport, clock).start())
        self.successResultOf(ComputeManager(transport, FakeDriver(clock), host="one").start())
        sessions = SessionManager(transport, NoSessions(), host="one")
        self.successResultOf(Deferred.fromCoroutine(sessions.start()))
        self.assertEqual(
            served,
            {
                sessions.topic: (set(PROXY.methods), PROXY.methods, SESSIONS_BINARY),
                CONSOLEAUTH.name: (set(CONSOLEAUTH.methods), CONSOLEAUTH.methods, "nova-consoleauth"),
                COMPUTE.of("one"): (set(COMPUTE.methods), COMPUTE.methods, "nova-compute"),
            },
        )
