"""Six processes, two compute hosts with real VMs, and each service logs in to Redis as the user of its role."""

import signal

from novnc_twisted.errors import InvalidToken
from tests.integration.test_redis_services import BINARIES, CloudCase
from tests.support.cloud import together
from tests.support.redis_users import ADMIN


class RolesTests(CloudCase):
    async def test_consoles_restarts_and_a_redis_that_forgot(self) -> None:
        cloud = await self.start(acl=True)
        ran = await cloud.client("nova service-list", cloud.none("nova"))
        rows = ran.rows()
        columns = [rows[0].index(name) for name in ("Binary", "Host")]
        self.assertEqual(sorted(tuple(row[column] for column in columns) for row in rows[1:]), BINARIES)
        for uuid, name in ((self.red, "myserver20"), (self.blue, "myserver21")):
            for kind in ("novnc", "xvpvnc"):
                viewer = await self.shows(await cloud.console(uuid, kind), name)
                await viewer.leave()
        await self.sessions()
        for name in ("consoleauth", "consolecompute compute1"):
            await cloud.kill(name, signal.SIGKILL)
            await cloud.back(name)
        await self.flow()
        await self.consoles_work()
        self.assertEqual(cloud.redis.command("ACL", "LOG", login=ADMIN), [])
        cloud.redis.kill()
        cloud.redis.start()
        await cloud.said("is back")
        await self.consoles_work()
        await self.flow()
        link = await cloud.console(self.red)
        await cloud.one.virsh("destroy", "myserver20")
        await cloud.one.virsh("undefine", "myserver20")
        await cloud.processes["consolecompute compute1"].seen("is gone; tokens dropped")
        self.assertEqual((await cloud.viewers.refusal(link))[0], InvalidToken.close_code)
        codes = await together(*(cloud.kill(name, signal.SIGTERM) for name in list(cloud.processes)))
        self.assertEqual(set(codes), {0})
        self.assertNotIn("Traceback", cloud.heard())
