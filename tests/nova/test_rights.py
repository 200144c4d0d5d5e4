"""The credentials of the proxy, and a Keystone that is down."""

from tests.nova.harness import NovaCase, instance_name
from tests.nova.rest import Rest
from tests.support.handed_out import secret
from tests.support.viewer import Viewers

LOOK_UP = {"service": "compute", "method": "GET", "path": "/v2.1/os-console-auth-tokens/*"}
READ = {"service": "compute", "method": "GET", "path": "/v2.1/servers/*"}
ASK = {"service": "compute", "method": "POST", "path": "/v2.1/servers/*/remote-consoles"}

ACTIONS = {
    "look up a token": ("GET", "/os-console-auth-tokens/{token}", None),
    "read a server": ("GET", "/servers/{server}", None),
    "list all servers": ("GET", "/servers/detail?all_tenants=1", None),
    "make a link": (
        "POST",
        "/servers/{server}/remote-consoles",
        {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    ),
    "act on a server": ("POST", "/servers/{server}/action", {"unlock": None}),
    "list hypervisors": ("GET", "/os-hypervisors", None),
    "list users": ("GET", "keystone:/users", None),
    "create a user": ("POST", "keystone:/users", {"user": {"name": "mallory", "domain_id": "default"}}),
    "create a credential": (
        "POST",
        "keystone:/users/{user}/application_credentials",
        {"application_credential": {"name": "mine", "roles": [{"name": "admin"}]}},
    ),
}
"""What a thief of the proxy's credential may try; docs/openstack.rst has the answers in a table."""

ALLOWED = {
    "look up a token": ["three", "two", "one", "nova"],
    "read a server": ["three", "two", "nova"],
    "list all servers": ["three", "two", "nova"],
    "make a link": ["three", "nova"],
}
"""Who may do it; all else, only nova's own user."""


class OutageTests(NovaCase):
    async def test_keystone_is_down_and_comes_back(self) -> None:
        server, viewers = await self.server("myserver20"), Viewers(self)
        self.place(server, self.vnc(instance_name(server)))
        token = await self.token(server)
        await self.blocking(self.cloud.stop_keystone)
        try:
            proxy = await self.proxy()
            self.assertEqual((await viewers.refusal(self.url(token)))[0], 4503)
            self.assertIn("does not answer", proxy.output)
        finally:
            await self.blocking(self.cloud.start_keystone)
        (await viewers.open(self.url(token))).leave()


class CredentialTests(NovaCase):
    async def credential(self, name: str, *rules: dict[str, str]) -> tuple[str, str]:
        """An application credential of the user ``novncproxy``: id and secret."""
        operator = await self.blocking(lambda: self.cloud.log_in("novncproxy", "service"))
        wanted = {"application_credential": {"name": name, "roles": [{"name": "admin"}], "access_rules": list(rules)}}
        path = f"/users/{operator.user_id}/application_credentials"
        answer = await self.blocking(lambda: operator.do("POST", path, wanted, of_keystone=True))
        made = answer["application_credential"]
        return made["id"], secret(made["secret"])

    def section(self, identity: str, password: str) -> str:
        return (
            f"\n[nova]\nauth_type = v3applicationcredential\nauth_url = {self.cloud.keystone_url}\n"
            f"application_credential_id = {identity}\napplication_credential_secret = {password}\n"
        )

    async def test_one_that_can_do_nothing_else(self) -> None:
        server = await self.server("myserver20")
        self.place(server, self.vnc(instance_name(server)))
        identity, password = await self.credential("all three", LOOK_UP, READ, ASK)
        proxy = await self.proxy(self.section(identity, password))
        token = await self.token(server)
        viewer = await Viewers(self).open(self.url(token))
        self.assertEqual(viewer.name, "myserver20")
        await viewer.leave()
        self.assertNotIn("nova refuses", proxy.output)

    async def test_one_that_can_only_look_up_tokens(self) -> None:
        server = await self.server("myserver20")
        self.place(server, self.vnc(instance_name(server)))
        proxy = await self.proxy(self.section(*await self.credential("tokens", LOOK_UP)))
        await proxy.seen("nova refuses GET /servers")
        for _ in range(2):
            (await Viewers(self).open(self.url(await self.token(server)))).leave()
        self.assertEqual(proxy.output.count("nova refuses"), 1)

    async def test_what_a_thief_can_do(self) -> None:
        """The table of docs/openstack.rst, each cell tried."""
        server = await self.server("myserver20")
        self.place(server, self.vnc(instance_name(server)))
        token = await self.token(server)
        rules = {"three": (LOOK_UP, READ, ASK), "two": (LOOK_UP, READ), "one": (LOOK_UP,)}
        thieves = {}
        for name, more in rules.items():
            made = await self.credential(f"thief {name}", *more)
            thieves[name] = await self.blocking(
                lambda made=made: Rest.with_credential(self.cloud.keystone_url, self.cloud.nova_url, *made)
            )
        thieves["nova"] = await self.blocking(lambda: self.cloud.log_in("nova", "service"))
        for action, (method, path, body) in ACTIONS.items():
            allowed = ""
            for name, thief in thieves.items():
                where = path.format(token=token, server=server["id"], user=thief.user_id)
                asked = (method, where.removeprefix("keystone:"), body)
                of_keystone = where.startswith("keystone:")
                status, _ = await self.blocking(lambda t=thief, a=asked, k=of_keystone: t.ask(*a, of_keystone=k))
                allowed += f" {name}" if status < 300 else ""
            self.assertEqual(allowed.split(), ALLOWED.get(action, ["nova"]), action)
