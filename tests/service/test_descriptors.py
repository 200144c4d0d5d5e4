"""The limit of file descriptors of a process."""

from pathlib import Path

from twisted.trial.unittest import TestCase

from novnc_twisted.service.descriptors import (
    RESERVE,
    connections_of_api,
    connections_of_proxies,
    too_few,
    too_many_connections,
)
from tests.service.test_commands import alone
from tests.support.twistd import Twistd


class LimitTests(TestCase):
    timeout = 300

    async def test_raised_and_named(self) -> None:
        """The soft limit is raised to the hard one; if this is too low for max_sessions, a warning is logged."""
        conf = alone() + "\n[console]\nmax_sessions = 500\n"
        process = Twistd.start(self, "console", conf, shell="ulimit -Sn 200; ulimit -Hn 400")
        await process.ready()
        limits = Path(f"/proc/{process.process.pid}/limits").read_text().splitlines()
        (line,) = [line for line in limits if line.startswith("Max open files")]
        self.assertEqual(line.split()[3:5], ["400", "400"])
        (warning,) = [line for line in process.output.splitlines() if "RLIMIT_NOFILE" in line]
        for word in ("400", "112 sessions", "max_sessions = 500", "1433", "LimitNOFILE"):
            self.assertIn(word, warning)

    def test_enough(self) -> None:
        """Needed are two for each session (without max_sessions: for MANY), a reserve, and the API's share."""
        for limit, sessions, with_api in ((1100, 500, False), (2100, 0, False), (1433, 500, True), (2766, 0, True)):
            self.assertEqual([*too_few(limit, sessions, with_api=with_api)], [])
            (line,) = too_few(limit - 1, sessions, with_api=with_api)
            self.assertIn(f"{limit}: raise LimitNOFILE", line)
            fits = connections_of_proxies(limit - 1, with_api=with_api)
            self.assertIn(f"enough for {fits} sessions", line)
        self.assertEqual([*too_few(-1, 10**6, with_api=True), *too_few(10**6, 10**6, with_api=True)], [])

    def test_connections(self) -> None:
        """A proxy's connection needs two descriptors, the API's needs one.  Beside proxies, the API gets a quarter."""
        for limit, single, beside, api_alone, api_beside in (
            (1024, 462, 346, 924, 231),
            (524288, 100_000, 100_000, 1000, 1000),
            (-1, 100_000, 100_000, 1000, 1000),
            (64, 1, 1, 1, 1),
        ):
            self.assertEqual(connections_of_proxies(limit, with_api=False), single)
            self.assertEqual(connections_of_proxies(limit, with_api=True), beside)
            self.assertEqual(connections_of_api(limit, with_proxies=False), api_alone)
            self.assertEqual(connections_of_api(limit, with_proxies=True), api_beside)
            if limit > 64:
                self.assertLessEqual(2 * beside + api_beside + RESERVE, limit if limit > 0 else 10**9)

    def test_more_connections_than_descriptors(self) -> None:
        """A warning names the option and the limit."""
        self.assertEqual(
            [*too_many_connections(1024, 462, with_api=False), *too_many_connections(-1, 10**6, with_api=True)], []
        )
        self.assertEqual([*too_many_connections(10**6, 200_000, with_api=True)], [])
        (line,) = too_many_connections(300_000, 200_000, with_api=False)
        self.assertIn("enough for 149950 connections", line)
        (line,) = too_many_connections(1024, 463, with_api=False)
        for word in ("[console] max_connections = 463", "1024", "462", "LimitNOFILE"):
            self.assertIn(word, line)
