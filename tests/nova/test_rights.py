"""The credentials of the proxy, and a Keystone that is down."""

import json
import uuid
from pathlib import Path

from novnc_twisted.consoleauth.nova_api import NO_SERVER
from tests.nova.documents import block, cells, run, with_values
from tests.nova.harness import NovaCase, instance_name
from tests.nova.rest import Rest
from tests.support.handed_out import secret
from tests.support.twistd import Twistd
from tests.support.viewer import Viewers

COMMAND = block("openstack.rst", "openstack application credential create")
LOOK_UP, READ, ASK = json.loads(COMMAND.split("'")[1])
"""The three access rules of the documented credential."""

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
    "change a server": ("PUT", "/servers/{server}", {"server": {"name": "myserver20"}}),
    "stop a server": ("POST", f"/servers/{NO_SERVER}/action", {"os-stop": None}),
    "delete a server": ("DELETE", f"/servers/{NO_SERVER}", None),
    "create a server": ("POST", "/servers", {"server": {}}),
    "list hypervisors": ("GET", "/os-hypervisors", None),
    "list users": ("GET", "keystone:/users", None),
    "create a user": ("POST", "keystone:/users", {"user": {"name": "mallory", "domain_id": "default"}}),
    "create a credential": (
        "POST",
        "keystone:/users/{user}/application_credentials",
        {"application_credential": {"name": "mine", "roles": [{"name": "admin"}]}},
    ),
}
"""What somebody with the stolen credential of the proxy may try; docs/openstack.rst summarizes the results.

Actions that would do harm name a server that does not exist or are incomplete: nova checks the rights first.
"""

REFUSED = (401, 403)

ALLOWED = {
    "look up a token": ["three", "two", "one", "nova"],
    "read a server": ["three", "two", "nova"],
    "list all servers": ["three", "two", "nova"],
    "make a link": ["three", "nova"],
}
"""Action -> the credentials that allow it.  All other actions are allowed only to nova's own user."""


class OutageTests(NovaCase):
    async def test_keystone_is_down_and_comes_back(self) -> None:
        server, viewers = await self.server("myserver20"), Viewers(self)
        self.place(server, self.vnc(instance_name(server)))
        token = await self.token(server)
        await self.blocking(self.cloud.stop_keystone)
        try:
            proxy = await self.proxy()
            self.assertEqual((await viewers.refusal(self.url(token)))[0], 4503)
            await proxy.seen("does not answer")
        finally:
            await self.blocking(self.cloud.start_keystone)
        (await viewers.open(self.url(token))).leave()


class CredentialTests(NovaCase):
    async def credential(self, name: str, *rules: dict[str, str]) -> tuple[str, str]:
        """Create an application credential of the user ``novncproxy``; return its id and secret."""
        operator = await self.blocking(lambda: self.cloud.log_in("novncproxy", "service"))
        wanted = {
            "application_credential": {
                "name": f"{name} {uuid.uuid4()}",
                "roles": [{"name": "admin"}],
                "access_rules": list(rules),
            }
        }
        path = f"/users/{operator.user_id}/application_credentials"
        answer = await self.blocking(lambda: operator.do("POST", path, wanted, of_keystone=True))
        made = answer["application_credential"]
        return made["id"], secret(made["secret"])

    def section(self, identity: str, password: str) -> str:
        return (
            f"\n[nova]\nauth_type = v3applicationcredential\nauth_url = {self.cloud.keystone_url}\n"
            f"application_credential_id = {identity}\napplication_credential_secret = {password}\n"
        )

    async def test_the_documented_one(self) -> None:
        """The credential and the second file of docs/openstack.rst are sufficient for a console.

        test_what_a_thief_can_do tries other actions with the same rules.
        """
        server = await self.server("myserver20")
        self.place(server, self.vnc(instance_name(server)))
        made = cells(await run(COMMAND, self.cloud.environment("novncproxy", "service"), self.mktemp()))
        operator = await self.blocking(lambda: self.cloud.log_in("novncproxy", "service"))
        path = f"/users/{operator.user_id}/application_credentials/{made['id']}"
        self.addCleanup(self.blocking, lambda: operator.do("DELETE", path, of_keystone=True))
        values = {
            "http://controller:5000/v3": self.cloud.keystone_url,
            "credential_id = ...": f"credential_id = {made['id']}",
            "credential_secret = ...": f"credential_secret = {secret(made['secret'])}",
        }
        more = with_values(block("openstack.rst", "auth_type = v3applicationcredential"), values)
        files = [Path(self.mktemp()).absolute() for _ in range(2)]
        for file, text in zip(files, (self.conf(), more), strict=True):
            file.write_text(text)
        proxy = Twistd.start(self, "novncproxy", arguments=[f"--config-file={file}" for file in files])
        await proxy.ready()
        token = await self.token(server)
        viewer = await Viewers(self).open(self.url(token))
        self.assertEqual(viewer.name, "myserver20")
        await viewer.leave()
        self.assertNotIn("our credentials may not", proxy.output)

    async def test_one_that_can_only_look_up_tokens(self) -> None:
        server = await self.server("myserver20")
        self.place(server, self.vnc(instance_name(server)))
        proxy = await self.proxy(self.section(*await self.credential("tokens", LOOK_UP)))
        await proxy.seen("our credentials may not read servers from nova (GET /servers/ID)")
        for _ in range(2):
            (await Viewers(self).open(self.url(await self.token(server)))).leave()
        self.assertEqual(proxy.output.count("our credentials may not"), 1)

    async def test_what_a_thief_can_do(self) -> None:
        """Try each action with each credential, and compare the results with ALLOWED."""
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
                allowed += f" {name}" if status not in REFUSED else ""
            self.assertEqual(allowed.split(), ALLOWED.get(action, ["nova"]), action)

    async def test_what_a_thief_of_the_host_can_do(self) -> None:
        """A host that reaches the VNC servers needs neither a token nor a credential."""
        port = self.vnc(instance_name(await self.server("myserver20")))
        viewer = await Viewers(self).direct("127.0.0.1", port)
        await viewer.answers()
        await viewer.leave()
