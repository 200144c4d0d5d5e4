"""Servers that users of different projects see."""

from tests.api.harness import uuid_of
from tests.api.users import UsersCase, basic


class ProjectTests(UsersCase):
    def test_basic(self) -> None:
        self.assertEqual(self.names(Authorization=basic("alice", "r3d:pass")), ["red-vm"])
        self.assertEqual(self.names(Authorization=basic("boris", "r3d:pass")), ["blue-vm"])
        self.assertEqual(self.names(Authorization=basic("root", "toor")), ["blue-vm", "nobodys", "red-vm"])

    def test_servers_of_other_projects(self) -> None:
        """For alice, servers of other projects than red do not exist, whatever the request."""
        alice = {"X_Auth_Token": self.token(), "X_OpenStack_Nova_API_Version": "2.31"}
        for name in ("blue-vm", "nobodys", "never-was"):
            path, message = f"/v2.1/servers/{uuid_of(name)}", f"Instance {uuid_of(name)} could not be found."
            for answer in (
                self.system.get(path, **alice),
                self.system.post(
                    f"{path}/remote-consoles", {"remote_console": {"protocol": "vnc", "type": "novnc"}}, **alice
                ),
                self.system.post(
                    f"{path}/action",
                    {"os-getVNCConsole": {"type": "novnc"}},
                    **alice | {"X_OpenStack_Nova_API_Version": "2.1"},
                ),
            ):
                self.assertEqual((answer.status, answer.body["itemNotFound"]["message"]), (404, message))
        self.assertEqual(self.names(**alice), ["red-vm"])
        for query in ("?all_tenants=1", "?project_id=blue-id", "?name=blue", f"?marker={uuid_of('blue-vm')}"):
            answer = self.system.get(f"/v2.1/servers{query}", **alice)
            self.assertNotIn(b"blue-vm", answer.raw)
        flavors = self.system.get("/v2.1/flavors", **alice)
        self.assertEqual(len(flavors.body["flavors"]), 1)
        self.assertEqual(self.system.consoleauth.tokens, {})

    def test_hosts_are_shown_to_administrators(self) -> None:
        path = f"/v2.1/servers/{uuid_of('red-vm')}"
        server = self.system.get(path, X_Auth_Token=self.token(), OpenStack_API_Version="compute 2.31").body["server"]
        self.assertNotIn("host_status", server)
        self.assertFalse([name for name in server if name.startswith("OS-EXT-SRV-ATTR")])

    def test_admin_only(self) -> None:
        alice = {"X_Auth_Token": self.token(), "OpenStack_API_Version": "compute 2.31"}
        for path, rule in (
            ("/v2.1/os-services", "os-services:list"),
            (f"/v2.1/os-console-auth-tokens/{uuid_of('x')}", "os-console-auth-tokens"),
        ):
            answer = self.system.get(path, **alice)
            message = f"Policy doesn't allow os_compute_api:{rule} to be performed."
            self.assertEqual((answer.status, answer.body["forbidden"]["message"]), (403, message))

    def test_project_of_the_url(self) -> None:
        token = self.token()
        self.assertEqual(self.system.get("/v2.1/red/servers", X_Auth_Token=token).status, 200)
        answer = self.system.get("/v2.1/blue/servers", X_Auth_Token=token)
        self.assertEqual(
            answer.body["badRequest"]["message"],
            "Malformed request URL: URL's project_id 'blue' doesn't match Context's project_id 'red'",
        )

    def test_a_part_of_nova_that_is_missing(self) -> None:
        """``os-simple-tenant-usage``, which Horizon requests, is not taken for a project (400)."""
        for user, password in (("alice", "r3d:pass"), ("root", "toor")):
            answer = self.system.get("/v2.1/os-simple-tenant-usage/red", X_Auth_Token=self.token(user, password))
            self.assertEqual((answer.status, list(answer.body)), (404, ["itemNotFound"]))

    def test_an_admin_with_a_scope_sees_everything(self) -> None:
        self.assertEqual(len(self.names(X_Auth_Token=self.token("root", "toor", "red"))), 3)
