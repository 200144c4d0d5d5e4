"""Our services in a process each, with Redis between them, as on several hosts, but on one machine."""

import shlex
from pathlib import Path
from typing import ClassVar

from benchmarks.load import LOOPBACK, free_port
from benchmarks.ours import Console
from benchmarks.proxies import installed


class ConsoleRedis(Console):
    """The cost of token checks in other processes: the CPU time of all of them counts, including Redis."""

    name = "ours, Redis"
    about = "twistd novncproxy, consoleauth, consolecompute and consoleapi as processes, redis:// between them"
    ready: ClassVar[tuple[str, ...]] = tuple(
        f"{command} is ready" for command in ("consoleauth", "consolecompute", "consoleapi", "novncproxy")
    )
    console_types: ClassVar[tuple[str, ...]] = ("novnc",)
    rows: ClassVar[tuple[str, ...] | None] = ("set-up",)

    def __init__(self, backend: int, folder: Path) -> None:
        super().__init__(backend, folder)
        self._redis = free_port()
        self.transport_url = f"redis://{LOOPBACK}:{self._redis}/0"

    def command(self) -> list[str]:
        """The shell command that starts all of them; they end with the shell's session."""
        server = installed("redis-server", "redis-server")
        redis = [server, "--bind", LOOPBACK, "--port", str(self._redis), "--save", "", "--dir", str(self.folder)]
        twistd, *options = super().command()
        options.remove("console")
        services = [
            [twistd, *options[:2], command, *options[2:]]
            for command in ("consoleauth", "consolecompute", "consoleapi", "novncproxy")
        ]
        lines = [f"{shlex.join(command)} &" for command in (redis, *services)]
        return ["/bin/sh", "-c", "\n".join([*lines, "wait"])]
