"""Which faults are tried in which kinds of clouds, and the file with their outcomes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "failures" / "latest.json"

KILL, STOP, CUT, RESTART = "kill", "stop", "cut", "restart"
"""A restart is a kill whose cure begins at once, as with systemd."""
FAULTS = (KILL, STOP, CUT)
ALL = (*FAULTS, RESTART)

WORKS, WAITS = "works", "waits"
GOES_ON = ("goes on", "stands still, then goes on")
"""The outcomes of a live session that is not lost; on a busy machine, it may stand still."""


@dataclass(frozen=True)
class Part:
    """A part of a cloud, and its possible faults."""

    name: str
    faults: tuple[str, ...] = FAULTS


PARTS = (
    Part("consoleauth"),
    Part("consoleauths", ALL),
    Part("consoleapi", ALL),
    Part("compute", ALL),
    Part("proxy", ALL),
    Part("worker", (KILL, STOP)),
    Part("primary"),
    Part("replica"),
    Part("sentinel"),
    Part("libvirtd", (KILL, STOP, RESTART)),
    Part("qemu"),
)

CLOUDS = {
    "sentinel": PARTS,
    "single": (Part("redis", ALL),),
    "valkey": (Part("primary"), Part("replica", (KILL,)), Part("sentinel", (KILL,))),
}
"""The kinds of clouds, and the parts whose faults are tried there.

* sentinel: a Redis with a replica and three Sentinels, all with TLS, users by role and an append-only file;
* single: one Redis with an append-only file;
* valkey: a Valkey with a replica and three Sentinels, without TLS.
"""


def faults(cloud: str) -> list[str]:
    """All faults that are tried in a kind of cloud, such as ``primary:kill``."""
    return [f"{part.name}:{fault}" for part in CLOUDS[cloud] for fault in part.faults]


def broken(outcome: dict[str, Any], recorded: dict[str, Any]) -> list[str]:
    """The outcomes of a run that are worse than those in the table.

    Times are not compared.  A link that works, or waits until the cure, is never worse.
    """
    found = list(outcome["notes"])
    for kind in ("link", "new", "elsewhere", "token"):
        known = {WORKS, WAITS, *map(_code, recorded[kind])}
        found += [f"{kind}: {one}" for one in dict.fromkeys(outcome[kind]) if _code(one) not in known]
    if outcome["server"] not in (WORKS, recorded["server"]):
        found.append(f"at the VNC server: {outcome['server']}")
    if outcome["live"] not in (*GOES_ON, recorded["live"]):
        found.append(f"live session: {outcome['live']}")
    return found


def _code(outcome: str) -> str:
    """The close code of an outcome: the API's status 409 has the same cause as the proxy's 4409."""
    return f"4{outcome}" if len(outcome) == 3 else outcome
