"""The table of :mod:`tests.integration.http_attacks`, against the real listeners, by raw sockets."""

from tests.integration.http_attacks import TABLE, Attack
from tests.integration.http_ports import PORTS, SMUGGLED, PortsCase
from tests.support.cloud import together


def waits(attack: Attack) -> bool:
    """Whether a port waits until its time-out."""
    return any(outcome.statuses in ((), (408,)) for outcome in attack.expected.values())


class Smuggling(PortsCase):
    """Each request is answered once or not at all, and an ambiguous one ends its connection."""

    async def at(self, attack: Attack, port: str) -> str:
        outcome = await self.outcome(port, attack.for_port(port))
        expected = attack.expected[port]
        return "" if outcome == expected else f"{attack.name} at {port}: {outcome}, not {expected}"

    async def each(self, rows: list[Attack]) -> None:
        wrong = []
        for start in range(0, len(rows), 40):
            wrong += await together(*(self.at(attack, port) for attack in rows[start : start + 40] for port in PORTS))
        self.maxDiff = None
        self.assertEqual([line for line in wrong if line], [])
        self.assertFalse([asked for asked in self.asked_of_api if SMUGGLED.decode() in asked.segments])
        self.assertFalse([asked for asked in self.asked if SMUGGLED.decode() in asked[0]])
        self.assertEqual(self.server.connections, [], "no VNC server may be dialled")
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertNotIn("Traceback", self.log_text())

    async def test_the_table(self) -> None:
        self.assertEqual(len({attack.name for attack in TABLE}), len(TABLE), "two rows have the same name")
        await self.each([attack for attack in TABLE if not waits(attack)])


class NeverWhole(Smuggling):
    """Incomplete requests, with short time-outs."""

    head_deadline = 1.5

    async def test_the_table(self) -> None:
        await self.each([attack for attack in TABLE if waits(attack)])
