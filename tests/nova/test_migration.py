"""Live migration by a real nova; two real VMs replace the one that moves."""

import time

from tests.nova.cloud import HOSTS
from tests.nova.harness import TIMEOUT, NovaCase, instance_name
from tests.support.browser import ConsolePage, with_page

NOT_CONNECTED = """() => {
    const states = [...document.querySelectorAll('[role=status]')];
    return !states.some((one) => one.textContent.startsWith('Connected'));
}"""


class MigrationTests(NovaCase):
    async def test_a_live_migration(self) -> None:
        """The VM on the source host ends, nova deletes the token, and the page reconnects by itself."""
        server = await self.server("myserver21")
        source = server["OS-EXT-SRV-ATTR:host"]
        (destination,) = set(HOSTS) - {source}
        vms = {}
        for host in HOSTS:
            vms[host] = await self.blocking(lambda h=host: self.vm(instance_name(server), h))
            self.place(server, vms[host].port, host)
        self.cloud.write("sources", {server["id"]: vms[source].pid})
        await self.proxy()
        token, path = await self.token(server), f"/servers/{server['id']}"
        migrate = {"os-migrateLive": {"host": destination, "block_migration": "auto"}}

        def steps(page: ConsolePage) -> float:
            page.wait_said("Connected", TIMEOUT)
            page.wait_painted(TIMEOUT)
            self.admin.do("POST", f"{path}/action", migrate)
            page.page.wait_for_function(NOT_CONNECTED, timeout=1000 * TIMEOUT)
            lost = time.monotonic()
            page.wait_said("Connected", TIMEOUT)
            page.wait_painted(TIMEOUT)
            return time.monotonic() - lost

        seen = await with_page(self.url(token), steps)
        moved = await self.blocking(lambda: self.admin.until(path, "status", "ACTIVE"))
        self.assertEqual(moved["OS-EXT-SRV-ATTR:host"], destination)
        status, _ = await self.blocking(lambda: self.admin.ask("GET", f"/os-console-auth-tokens/{token}"))
        self.assertEqual(status, 404)  # nova has deleted it
        print(f"the page was without a picture for {seen.result:.1f} s")
