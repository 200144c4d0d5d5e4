"""Users of a real Keystone at our own API: ``twistd console`` with the options of docs/users.rst, without nova."""

import json
import re
import uuid
from pathlib import Path
from typing import Any

from demo.domains import small_domain
from tests.nova.configuration import PASSWORD
from tests.nova.documents import DOCS, block, cells, run, with_values
from tests.nova.harness import TIMEOUT, NovaCase, until
from tests.nova.rest import Rest
from tests.support.browser import ConsolePage, with_page
from tests.support.handed_out import secret
from tests.support.twistd import Twistd, free_port
from tests.support.viewer import Viewers

OWNER = (
    '<instance xmlns="http://openstack.org/xmlns/libvirt/nova/1.1">'
    '<owner><project uuid="{}">{}</project></owner></instance>'
)
LINK = {"remote_console": {"protocol": "vnc", "type": "novnc"}}

RIGHTS = {
    ("admin", "admin"): (["myserver20", "myserver30"], 200),
    ("alice", "red"): (["myserver20"], 200),
    ("rita", "red"): (["myserver20"], 403),
    ("bob", "blue"): (["myserver30"], 404),
}
"""User and project -> the servers in the list, and the status of a request for a console of myserver20."""

ATTEMPTS = 10

GUEST = ("bob", "red")
"""Bob is a member of red only in one test."""


class UsersTests(NovaCase):
    """A host of libvirt's test driver has a VM of the project red, and one of the project blue."""

    async def start(self) -> Twistd:
        self.api = f"http://127.0.0.1:{free_port()}"
        self.server = str(uuid.uuid4())
        vms = ""
        for name, project, identity in (("myserver20", "red", self.server), ("myserver30", "blue", str(uuid.uuid4()))):
            graphics = f"<graphics type='vnc' port='{self.vnc(name)}' listen='127.0.0.1'/>"
            owner = OWNER.format(await self.project(project), project)
            vms += small_domain(name, identity=identity, graphics=graphics, metadata=owner, domain_type="test")
        host = Path(self.mktemp()).absolute()
        host.write_text(f"<node>{vms}</node>")
        api = with_values(
            block("users.rst", "auth_strategy = keystone\n"),
            {
                "https://keystone.example:5000/v3": self.cloud.keystone_url,
                "http://controller:5000/v3": self.cloud.keystone_url,
                "username = nova": "username = consoleapi",  # its only role is service
                "PASSWORD": PASSWORD.format(name="consoleapi"),
            },
        )
        console = Twistd.start(
            self,
            "console",
            f"osapi_compute_listen_port = {self.api.rpartition(':')[2]}\n[vnc]\nnovncproxy_host = 127.0.0.1\n"
            f"novncproxy_port = {self.port}\nxvpvncproxy_host = 127.0.0.1\nxvpvncproxy_port = {free_port()}\n"
            f"novncproxy_base_url = http://127.0.0.1:{self.port}/vnc_auto.html\n"
            f"[libvirt]\nconnection_uri = test://{host}\n{api}token_cache_time = 1\n",
        )
        await console.ready()
        return console

    async def project(self, name: str) -> str:
        """The id of a project."""
        found = await self.blocking(lambda: self.admin.do("GET", f"/projects?name={name}", of_keystone=True))
        return str(found["projects"][0]["id"])

    async def log_in(self, user: str, project: str = "", scope: Any = None) -> Rest:
        """Log in at Keystone, as a client of our API."""
        api = f"{self.api}/v2.1"
        found = await self.blocking(lambda: Rest(self.cloud.keystone_url, api, user, project, scope))
        found.version = "2.31"  # the newest version of our API
        secret(found.token)
        return found  # type: ignore[no-any-return]

    async def ask(self, user: Rest, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request; retry on 503, because Keystone on a busy machine may miss our API's deadline of 5 s."""
        for _ in range(ATTEMPTS):
            status, answer = await self.blocking(lambda: user.ask(method, path, body))
            if status != 503:
                break
        return status, answer

    async def test_the_rights_of_each_role(self) -> None:
        console = await self.start()
        path = f"/servers/{self.server}/remote-consoles"
        users = {}
        for (name, project), (servers, wanted) in RIGHTS.items():
            users[name] = user = await self.log_in(name, project)
            status, answer = await self.ask(user, "GET", "/servers?all_tenants=1" if name == "admin" else "/servers")
            self.assertEqual((status, sorted(one["name"] for one in answer["servers"])), (200, servers), name)
            status, answer = await self.ask(user, "POST", path, LINK)
            self.assertEqual(status, wanted, f"{name} {answer}")
            if status == 200:
                viewer = await Viewers(self).open(answer["remote_console"]["url"])
                self.assertEqual(viewer.name, "myserver20")
                await viewer.leave()
        self.assertEqual((await self.ask(users["bob"], "GET", f"/servers/{self.server}"))[0], 404)
        for user, status in (
            (await self.log_in("admin", scope={"system": {"all": True}}), 200),
            (await self.log_in("alice", scope="unscoped"), 403),
            (await self.log_in("consoleapi", "service"), 403),
        ):
            self.assertEqual((await self.ask(user, "POST", path, LINK))[0], status)
            self.assertEqual((await self.ask(user, "GET", "/servers"))[0], status)
        for word in (*(user.token for user in users.values()), PASSWORD.format(name="consoleapi"), "Traceback"):
            self.assertNotIn(word, console.output)

    async def test_a_revoked_token_and_a_lost_role(self) -> None:
        """They are refused as soon as Keystone's last answer is older than ``token_cache_time``."""
        await self.start()
        path = f"/servers/{self.server}/remote-consoles"
        await self.blocking(lambda: self.give(GUEST, "PUT"))
        self.addCleanup(self.blocking, lambda: self.give(GUEST, "DELETE"))
        alice, other, guest = [await self.log_in(*one) for one in (("alice", "red"), ("alice", "red"), GUEST)]
        for user in (alice, other, guest):
            self.assertEqual((await self.ask(user, "POST", path, LINK))[0], 200)
        await self.blocking(alice.revoke)
        await self.blocking(lambda: self.give(GUEST, "DELETE"))
        for user in (alice, guest):
            await self.blocking(lambda u=user: until(lambda: u.ask("GET", "/servers")[0] == 401, "the refusal"))
            self.assertEqual((await self.ask(user, "POST", path, LINK))[0], 401)
        self.assertEqual((await self.ask(other, "POST", path, LINK))[0], 200)

    def give(self, who: tuple[str, str], method: str) -> None:
        """Give a user the role ``member`` in a project (PUT), or remove it (DELETE)."""

        def identity(kind: str, name: str) -> str:
            (found,) = self.admin.do("GET", f"/{kind}?name={name}", of_keystone=True)[kind]
            return str(found["id"])

        user, project, role = identity("users", who[0]), identity("projects", who[1]), identity("roles", "member")
        self.admin.ask(method, f"/projects/{project}/users/{user}/roles/{role}", of_keystone=True)

    async def test_the_list_in_the_browser(self) -> None:
        """Alice logs in with her Keystone password, sees the servers of her project, opens one, and logs out."""
        console = await self.start()

        def steps(visit: ConsolePage) -> None:
            page = visit.page
            for _ in range(ATTEMPTS):
                page.locator("[name=user]").fill("alice")
                page.locator("[name=password]").fill(PASSWORD.format(name="alice"))
                with page.expect_navigation(timeout=1000 * TIMEOUT) as went:
                    page.keyboard.press("Enter")
                if went.value is None or went.value.status != 503:  # see ask()
                    break
            page.locator(".who:has-text('project red')").wait_for(timeout=1000 * TIMEOUT)
            tile = page.locator(".tile", has_text="myserver20")
            tile.wait_for(timeout=1000 * TIMEOUT)
            self.assertEqual(page.locator(".tile", has_text="myserver30").count(), 0)
            with page.context.expect_page() as opening:
                tile.locator(".screen").click()
            opening.value.get_by_text("Connected").first.wait_for(timeout=1000 * TIMEOUT)
            opening.value.close()
            page.get_by_role("button", name="Log out").click()
            page.get_by_label("Password").wait_for(timeout=1000 * TIMEOUT)

        await with_page(f"{self.api}/console/", steps)
        self.assertNotIn(PASSWORD.format(name="alice"), console.output)

    async def test_the_catalogue(self) -> None:
        """Clients find our API by the catalogue entries that the documents create, here in a new region."""
        await self.start()
        region = f"region-{uuid.uuid4()}"
        self.addCleanup(self.blocking, lambda: self.forget(region))
        await self.blocking(lambda: self.add(region))
        admin = self.cloud.environment("admin", "admin")
        compute, endpoint = block("users.rst", "openstack service create --name nova").splitlines()
        made = cells(await run(compute, admin, self.mktemp()))
        self.assertEqual((made["name"], made["type"]), ("nova", "compute"))
        # The catalogue already has the cloud's nova as its compute service.
        gone = f"/services/{made['id']}"
        await self.blocking(lambda: self.admin.do("DELETE", gone, of_keystone=True))
        here = {"RegionOne": region, "http://controller:8774": self.api}
        await run(with_values(endpoint, here), admin, self.mktemp())
        here = {"RegionOne": region, "https://control.example:8774": self.api}
        console = with_values(block("console_api.rst", "openstack service create"), here)
        await run(console, admin, self.mktemp())

        alice = self.cloud.environment("alice", "red") | {"OS_REGION_NAME": region, "API": f"{self.api}/console/v1"}
        (option,) = re.findall(r"``(-H .X-Auth-Token: .*)``", (DOCS / "console_api.rst").read_text())
        listed = await run(f'curl -s "$API/servers" {option}', alice, self.mktemp())
        self.assertEqual([one["name"] for one in json.loads(listed)["servers"]], ["myserver20"])
        link = await run("openstack console url show --novnc myserver20 -f value -c url", alice, self.mktemp())
        viewer = await Viewers(self).open(link.strip())
        sessions = await run("openstack console session list -f value -c Server -c User", alice, self.mktemp())
        self.assertEqual(sessions, f"myserver20 {self.alice.user_id}\n")
        await viewer.leave()

    def add(self, region: str) -> None:
        """Add a region with an endpoint of Keystone."""
        (keystone,) = self.admin.do("GET", "/services?type=identity", of_keystone=True)["services"]
        self.admin.do("POST", "/regions", {"region": {"id": region}}, of_keystone=True)
        fields = {"service_id": keystone["id"], "interface": "public", "region_id": region}
        fields |= {"url": self.cloud.keystone_url}
        self.admin.do("POST", "/endpoints", {"endpoint": fields}, of_keystone=True)

    def forget(self, region: str) -> None:
        """Remove the entries of a region, and the service ``console``, from the catalogue."""
        for one in self.admin.do("GET", f"/endpoints?region_id={region}", of_keystone=True)["endpoints"]:
            self.admin.do("DELETE", f"/endpoints/{one['id']}", of_keystone=True)
        for one in self.admin.do("GET", "/services?type=console", of_keystone=True)["services"]:
            self.admin.do("DELETE", f"/services/{one['id']}", of_keystone=True)
        self.admin.do("DELETE", f"/regions/{region}", of_keystone=True)
