from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access import hash_token
from novnc_twisted.consoleauth import ConsoleAuthManager
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.identity import NoAuth
from tests.api.harness import FakeHost, instance, running, uuid_of
from tests.http.harness import Answer

SERVER = f"/v2.1/servers/{uuid_of('myserver20')}"
ASK = {"remote_console": {"protocol": "vnc", "type": "novnc"}}


class ConsoleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.host = FakeHost(
            "host1", instance("myserver20"), instance("off", state="shutoff"), instance("novga"), no_vnc=("novga",)
        )
        self.system = running(self, NoAuth(), self.host)

    def remote(self, body: Any, name: str = "myserver20", version: str = "2.6") -> Answer:
        return self.system.post(
            f"/v2.1/servers/{uuid_of(name)}/remote-consoles", body, X_OpenStack_Nova_API_Version=version
        )

    def action(self, body: Any, version: str = "2.1", root: str = "/v2.1") -> Answer:
        path = f"{root}/servers/{uuid_of('myserver20')}/action"
        return self.system.post(path, body, X_OpenStack_Nova_API_Version=version)

    def refused(self, answer: Answer, code: int, name: str, message: str) -> None:
        self.assertEqual((answer.status, answer.body), (code, {name: {"code": code, "message": message}}))

    def test_remote_console(self) -> None:
        """The compute host makes the token, consoleauth registers it, and the user receives the URL."""
        answer = self.remote(ASK)
        self.assertEqual(answer.status, 200)
        console = answer.body["remote_console"]
        self.assertEqual((console["protocol"], console["type"]), ("vnc", "novnc"))
        base, token = console["url"].split("?token=")
        self.assertEqual(base, "http://127.0.0.1:6080/vnc_auto.html")
        self.assertEqual(self.host.asked, [(uuid_of("myserver20"), "novnc")])
        self.assertEqual(
            self.system.consoleauth.tokens,
            {
                hash_token(token): {
                    "connect_info": ConnectInfo(
                        host="192.0.2.7",
                        port=5901,
                        instance_uuid=uuid_of("myserver20"),
                        name="myserver20",
                        console_type="novnc",
                        user_id="admin",
                        administrator=True,
                        compute_host="host1",
                    ).to_wire(),
                    "client_address": None,
                    "owner": None,
                    "expires_in": None,
                    "one_time": False,
                }
            },
        )

    def test_the_project_that_a_link_is_made_for(self) -> None:
        """It is the server's project, also if an administrator makes the link."""
        for project, owner in (("p-1", "p-1"), (None, "red"), ("", "red"), ("none", None)):
            ids = {"project_id": project, "project_name": "red"} if project != "none" else {}
            server = instance("myserver20", **ids)
            self.host.instances[uuid_of("myserver20")] = server | {"host": "host1"}
            self.system.consoleauth.tokens.clear()
            self.remote(ASK)
            self.assertEqual([token["owner"] for token in self.system.consoleauth.tokens.values()], [owner])

    def test_every_request_has_a_token_of_its_own(self) -> None:
        urls = {self.remote(ASK).body["remote_console"]["url"] for _ in range(3)}
        self.assertEqual((len(urls), len(self.system.consoleauth.tokens)), (3, 3))

    def test_action(self) -> None:
        for version in ("2.1", "2.5"):
            for kind in ("novnc", "xvpvnc"):
                answer = self.action({"os-getVNCConsole": {"type": kind}}, version)
                self.assertEqual((answer.status, answer.body["console"]["type"]), (200, kind))

    def test_action_takes_an_empty_accept(self) -> None:
        answer = self.system.post(f"{SERVER}/action", {"os-getVNCConsole": {"type": "novnc"}}, Accept="")
        self.assertEqual(answer.status, 200)

    def test_action_is_gone_at_2_6(self) -> None:
        answer = self.action({"os-getVNCConsole": {"type": "novnc"}}, "2.6")
        self.refused(answer, 400, "badRequest", "There is no such action: os-getVNCConsole")
        self.refused(self.action({"evacuate": {}}), 400, "badRequest", "There is no such action: evacuate")

    def test_remote_consoles_begin_at_2_6(self) -> None:
        self.refused(self.remote(ASK, version="2.5"), 404, "itemNotFound", "The resource could not be found.")

    def test_schema_of_the_action(self) -> None:
        field = "Invalid input for field/attribute"
        name = "os-getVNCConsole"
        cases = [
            ({name: {"type": "x"}}, f"{field} type. Value: x. 'x' is not one of ['novnc', 'xvpvnc']"),
            ({name: {}}, f"{field} {name}. Value: {{}}. 'type' is a required property"),
            ({name: None}, f"{field} {name}. Value: None. None is not of type 'object'"),
            (
                {name: {"type": "novnc", "a": 1}},
                f"{field} {name}. Value: {{'type': 'novnc', 'a': 1}}. "
                "Additional properties are not allowed ('a' was unexpected)",
            ),
            ([], "Malformed request body"),
            ({}, "Malformed request body"),
            (b"{", "Malformed request body"),
            (b"", "Malformed request body"),
            (b"\xff\xfe{\x00}\x00", "Malformed request body"),
            (b'{"os-getVNCConsole": NaN}', "Malformed request body"),
            (b'{"os-getVNCConsole": 1e999}', "Malformed request body"),
            (b"[" * 100_000, "Malformed request body"),
            (b'{"a":' * 33 + b"1" + b"}" * 33, "Malformed request body"),
            (b"[" * 33 + b'"' + b'\\"' * 500_000, "Malformed request body"),  # must not take hours
        ]
        for body, message in cases:
            self.refused(self.action(body), 400, "badRequest", message)
        self.assertEqual(self.action({name: {"type": ["novnc"]}}).status, 400)
        self.assertEqual(self.action({name: {"type": "x" * 100_000}}).status, 400)

    def test_v2_is_lenient(self) -> None:
        body = {"os-getVNCConsole": {"type": "novnc", "more": 1}, "and": 2}
        self.assertEqual(self.action(body, root="/v2").status, 200)
        self.assertEqual(self.action(body).status, 400)
        self.assertEqual(self.action({"os-getVNCConsole": {}}, root="/v2").status, 400)

    def test_depth_counts_no_strings(self) -> None:
        quoted = "[" * 200 + '\\"[{'
        answer = self.remote({"remote_console": {"protocol": "vnc", "type": quoted}})
        self.assertIn("is not one of", answer.body["badRequest"]["message"])

    def test_schema_of_remote_consoles(self) -> None:
        def asked(protocol: Any, kind: Any) -> dict[str, Any]:
            return {"remote_console": {"protocol": protocol, "type": kind}}

        self.refused(self.remote(asked("rdp", "rdp-html5")), 400, "badRequest", "Unavailable console type rdp.")
        self.refused(self.remote(asked("vnc", "serial")), 400, "badRequest", "Invalid console type serial")
        self.refused(
            self.remote(asked("spice", "spice-html5")), 400, "badRequest", "Unavailable console type spice-html5."
        )
        self.assertIn("is not one of", self.remote(asked("mks", "webmks")).body["badRequest"]["message"])
        self.refused(
            self.remote(asked("mks", "webmks"), version="2.8"), 400, "badRequest", "Unavailable console type webmks."
        )
        self.assertEqual(self.remote({"remote_console": {"type": "novnc"}}).status, 400)
        self.assertEqual(self.remote(ASK | {"more": 1}).status, 400)
        self.assertEqual(self.system.consoleauth.tokens, {})

    def test_content_types(self) -> None:
        for kind, status in (
            ("application/json; charset=utf-8", 200),
            ("application/vnd.openstack.compute+json", 200),
            ("text/plain", 200),
            ("application/xml", 415),
            ("multipart/form-data; boundary=x", 415),
            ("application/x-www-form-urlencoded", 415),
        ):
            answer = self.system.post(f"{SERVER}/action", {"os-getVNCConsole": {"type": "novnc"}}, Content_Type=kind)
            self.assertEqual(answer.status, status)
        self.assertEqual(answer.body, {"badMediaType": {"code": 415, "message": "Unsupported Content-Type"}})

    def test_refusals(self) -> None:
        self.refused(
            self.remote(ASK, "off"),
            409,
            "conflictingRequest",
            "This server is not running. Start or resume it to use its console.",
        )
        self.refused(self.remote(ASK, "novga"), 400, "badRequest", "Unavailable console type novnc.")
        self.refused(self.remote(ASK, "none"), 404, "itemNotFound", f"Instance {uuid_of('none')} could not be found.")

    def test_no_consoleauth(self) -> None:
        self.successResultOf(self.system.undo[-1]())
        self.refused(
            self.remote(ASK),
            503,
            "serviceUnavailable",
            "The console service is not available. Try again in a moment.",
        )

    def test_a_silent_compute_host(self) -> None:
        """The request is answered at the deadline of the call."""
        silent: Deferred[None] = Deferred()

        async def get_vnc_console(**_: Any) -> None:
            await silent

        self.host.get_vnc_console = get_vnc_console  # type: ignore[method-assign]
        self.successResultOf(self.system.undo[0]())
        self.successResultOf(Deferred.fromCoroutine(self.host.serve(self.system.transport)))
        connection = self.system.send("POST", f"{SERVER}/remote-consoles", ASK, X_OpenStack_Nova_API_Version="2.6")
        self.assertEqual(connection.answers(), [])
        self.system.reactor.advance(5.1)
        self.assertEqual([answer.status for answer in connection.answers()], [503])

    def test_a_client_that_leaves(self) -> None:
        """The work for the client is cancelled, and nothing is logged."""
        cancelled = []
        silent: Deferred[None] = Deferred(cancelled.append)

        async def get_instance(**_: Any) -> None:
            await silent

        self.host.get_instance = get_instance  # type: ignore[method-assign]
        self.successResultOf(self.system.undo[0]())
        self.successResultOf(Deferred.fromCoroutine(self.host.serve(self.system.transport)))
        connection = self.system.send("GET", SERVER)
        connection.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.system.reactor.getDelayedCalls(), [])

    def test_token(self) -> None:
        token = self.remote(ASK).body["remote_console"]["url"].split("=")[1]
        path = f"/v2.1/os-console-auth-tokens/{token}"
        answer = self.system.get(path, X_OpenStack_Nova_API_Version="2.31")
        self.assertEqual(
            answer.body,
            {
                "console": {
                    "instance_uuid": uuid_of("myserver20"),
                    "host": "192.0.2.7",
                    "port": 5901,
                    "internal_access_path": None,
                }
            },
        )
        self.assertEqual(self.system.get(path, X_OpenStack_Nova_API_Version="2.30").status, 400)

    def test_unknown_token(self) -> None:
        for token in (uuid_of("x"), "x", "%00%ff", "x" * 5000):
            answer = self.system.get(f"/v2.1/os-console-auth-tokens/{token}", X_OpenStack_Nova_API_Version="2.31")
            self.refused(answer, 404, "itemNotFound", "Token not found")


class WithConsoleAuthTests(SynchronousTestCase):
    """The same with the real nova-consoleauth."""

    def test_token(self) -> None:
        system = running(self, NoAuth(), FakeHost("host1", instance("myserver20", project_id="p")))
        self.successResultOf(system.undo[-1]())
        self.successResultOf(ConsoleAuthManager(system.transport, system.reactor).start())
        url = system.post(f"{SERVER}/remote-consoles", ASK, OpenStack_API_Version="compute 2.6")
        self.assertEqual(url.status, 200)
        token = url.body["remote_console"]["url"].split("=")[1]
        path = f"/v2.1/os-console-auth-tokens/{token}"
        answer = system.get(path, OpenStack_API_Version="compute 2.31")
        self.assertEqual(answer.body["console"]["instance_uuid"], uuid_of("myserver20"))
        uuid = uuid_of("myserver20")
        dropped = system.transport.call("consoleauth", "delete_tokens_for_instance", instance_uuid=uuid)
        self.assertEqual(self.successResultOf(dropped), {"deleted": 1})
        self.assertEqual(system.get(path, OpenStack_API_Version="compute 2.31").status, 404)
