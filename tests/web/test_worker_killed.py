"""A worker of the noVNC proxy is killed: its page reconnects by itself, and keys reach the VNC server again."""

import os
import signal

from tests.service.harness import ProxyCase
from tests.support.browser import with_page
from tests.web.steps import Steps


class WorkerKilledTest(Steps, ProxyCase):
    timeout = 300

    async def test_the_page_comes_back(self):
        await self.begin()
        self.proxy = await self.started()
        first, second = self.pids[1], self.pids[2]
        os.kill(first, signal.SIGSTOP)  # so that the second worker serves the page and its session
        self.addCleanup(self.proceed, first)

        def steps(page):
            page.wait_said("Connected")
            page.type("a")
            self.wait_typed(page, 0, "a")
            self.proceed(first)
            os.kill(second, signal.SIGKILL)
            self.assertTrue(self.wait(page, lambda: len(self.vnc.connections) > 1))
            page.wait_said("Connected")
            page.type("b")
            self.wait_typed(page, 1, "b")
            self.assertFalse(page.page.locator("#card").is_visible())

        seen = await with_page(self.url, steps)
        # Chromium itself reports the connections that the killed worker has closed.
        own = ("net::ERR_", "WebSocket connection to")
        self.assertEqual([line for line in seen.complaints() if not any(word in line for word in own)], [])
        self.assertEqual(len(self.vnc.connections), 2)
        await self.proxy.seen(f"worker 2 (pid {second}) ended by signal 9")
        self.assertEqual(self.pids[1], first)

    def wait_typed(self, page, connection, key):
        """Wait until the VNC server has received this key on the connection with this index."""

        def typed():
            return [
                message[-1] for kind, message in self.vnc.connections[connection].messages if kind == 4 and message[1]
            ]

        self.assertTrue(self.wait(page, lambda: ord(key) in typed()), key)

    def proceed(self, pid):
        os.kill(pid, signal.SIGCONT)
