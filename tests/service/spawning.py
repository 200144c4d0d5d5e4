"""A reactor that starts no processes, for tests of the supervisor."""

from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock


class Spawning(Clock):
    """A reactor that records the processes instead of starting them."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[Any] = []
        self.broken = False
        self.stopped = 0
        self.signals: list[tuple[int, int]] = []  # process id, signal
        self.orders: list[tuple[int, bytes]] = []  # process id, data
        self.closed: list[int] = []  # the processes whose standard input was closed

    def stop(self) -> None:
        self.stopped += 1

    def spawnProcess(self, protocol: Any, *arguments: Any, **more: Any) -> None:
        if self.broken:
            raise OSError(12, "Cannot allocate memory")
        pid = len(self.spawned) + 100
        protocol.makeConnection(
            SimpleNamespace(
                pid=pid,
                signalProcess=lambda number: self.signals.append((pid, number)),
                closeStdin=lambda: self.closed.append(pid),
                write=lambda data: self.orders.append((pid, data)),
            )
        )
        self.spawned.append(protocol)
