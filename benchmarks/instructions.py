"""The user-space instructions of a set-up, a round trip and a message, counted by callgrind.

CPU times vary with the load of the machine.  These counts vary by 4 % for a set-up, and by 10 % for a round trip, which
returns to the reactor more often if the peers are slow.  The whole ``twistd console`` is counted, with the API and the
token checks, without the kernel.
"""

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

from benchmarks.load import Backend, Load, LoadFailed, Unavailable
from benchmarks.ours import Console
from benchmarks.proxies import installed

Work: TypeAlias = Mapping[str, tuple[str, str, Mapping[str, Any]]]

WORK: Final[Work] = {
    "set-up": ("setup", "connections", {"n": 4, "d": 20}),
    "round trip": ("rtt", "n", {"r": 1400, "d": 4}),
    "message": ("up", "messages", {"b": 64, "t": 50_000}),
}
"""What is counted: the load's test, the name of its number in the result, and its options (see wsload.c).

The sessions of a round trip and of a message are open before the count begins.
"""

_CONTROL_DEADLINE: Final = 60.0  # s


class _Counted(Console):
    """A console under callgrind, which counts only between :meth:`begin` and :meth:`end`."""

    start_timeout: ClassVar[float] = 300.0

    def command(self) -> list[str]:
        """Our command, run by valgrind."""
        options = ("--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=counts")
        return [installed("valgrind", "valgrind"), *options, *super().command()]

    def begin(self) -> None:
        """Count from now on."""
        self._control("--instr=on")

    def end(self) -> int:
        """Return the instructions since :meth:`begin`."""
        self._control("--instr=off")
        before = set(self.folder.glob("counts.*"))
        self._control("--dump")
        (dump,) = set(self.folder.glob("counts.*")) - before
        return next(int(line.split()[1]) for line in dump.read_text().splitlines() if line.startswith("totals:"))

    def _control(self, order: str) -> None:
        assert self._process is not None
        command = [installed("callgrind_control", "valgrind"), order, str(self._process.pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_CONTROL_DEADLINE)
        if done.returncode:
            raise Unavailable(f"callgrind_control {order} fails: {(done.stderr or done.stdout).strip()[-200:]}")


def measure(kinds: Iterable[type[Console]] = (Console,), work: Work = WORK) -> dict[str, dict[str, float]]:
    """Return the instructions by the proxy's name and the kind of work.

    :raises Unavailable: valgrind is missing, or the proxy does not start under it.
    :raises LoadFailed: a session failed.
    """
    installed("valgrind", "valgrind")
    found = {}
    with tempfile.TemporaryDirectory(prefix="novnc-twisted-bench-") as folder, Backend() as backend:
        for kind in kinds:
            counted = type("Counted", (_Counted, kind), {})
            with counted(backend.port, Path(folder) / kind.__name__) as proxy:
                found[kind.name] = {name: _each(proxy, *one) for name, one in work.items()}
    return found


def _each(proxy: _Counted, test: str, number: str, options: Mapping[str, Any]) -> float:
    """Return the instructions of one piece of work.  The same work runs once before, uncounted, as a warm-up."""
    with Load(test, proxy.urls["novnc"], **options) as load:
        load.go()
        load.result()
    with Load(test, proxy.urls["novnc"], **options) as load:
        proxy.begin()
        load.go()
        result = load.result()
        counted = proxy.end()
    if result.get("failed") or not result[number]:
        raise LoadFailed(f"{result.get('failed', 0)} sessions failed under callgrind, {result[number]} did not")
    return counted / float(result[number])


def table(values: Mapping[str, Mapping[str, float]]) -> str:
    """Return the values as a Markdown table, in thousands of instructions."""
    if not values:
        return ""
    names = list(next(iter(values.values())))
    lines = [f"| thousand instructions | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for proxy, found in values.items():
        lines.append(f"| {proxy} | {' | '.join(f'{found[name] / 1000:,.1f}' for name in names)} |")
    return "\n".join(lines)
