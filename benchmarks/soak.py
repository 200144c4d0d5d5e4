"""``make soak``, ``python -m benchmarks.soak``: thousands of live sessions in one proxy process, for an hour.

Each session has its own link from the API and does the whole RFB handshake; some type, all are pinged.  Every byte is
compared, in both directions.  At the end each session has to respond, then all leave at once, and the process must
not hold more objects or descriptors than before.

Exit code 0: passed.  1: failed; the reasons were printed.  2: nothing could be measured.
"""

import argparse
import dataclasses
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import takeovers
from benchmarks.crowd import Crowd, CrowdShieldOff
from benchmarks.load import CACHE, PUBLISHED, Backend, Load, LoadFailed, Unavailable
from benchmarks.run import machine, raise_descriptor_limit
from benchmarks.soak_report import Holding, Look, Outcome, Plan, judged, line, many, servers, settled, text

STEP_DEADLINE = 600.0
"""Seconds within which all sessions must be open, and in which each later step of the load must end."""

GONE = 60.0
"""Seconds after the viewers have left, for which descriptors of their sessions may still be open."""

FORGOTTEN = 180.0
"""Seconds after that, for which other objects of the sessions may be left.

Some objects stay for 60 s, because the viewer of a lost session may come back.
"""


def soak(plan: Plan, folder: Path, say: Callable[[str], None] = lambda line: None) -> Outcome:
    """Run a soak.

    :param folder: for temporary files.
    :raises Unavailable: a part is missing on this machine.
    :raises LoadFailed: a session is refused, lost or silent, or has a wrong byte.
    """
    raise_descriptor_limit()
    outcome = Outcome(plan, machine())
    kind = Crowd if plan.shield else CrowdShieldOff
    with ExitStack() as stack:
        backend = stack.enter_context(Backend(servers(plan)))
        console = stack.enter_context(kind(backend.ports, folder, plan.token_ttl))
        try:
            _hold(plan, console, outcome, stack, say)
        except LoadFailed as trouble:
            raise LoadFailed(f"{trouble} {backend.complaints()}; {console.last_words()}".strip()) from None
        outcome.wrong += [line for line in [backend.complaints()] if line]
        log = console.log.read_text(errors="replace")
        outcome.wrong += ["a traceback in the log"] if "Traceback" in log else []
    outcome.wrong += judged(outcome)
    return outcome


def _hold(plan: Plan, console: Crowd, outcome: Outcome, stack: ExitStack, say: Callable[[str], None]) -> None:
    before = console.memory()
    crowd = _links(console, plan.front, plan.sessions)
    outcome.links_kib = (console.memory() - before) / plan.sessions
    say(f"{plan.sessions} links of {servers(plan)} servers")
    base = console.urls[plan.front].split("?")[0].rstrip("/").removesuffix("/console")
    with Load("hold", base, n=1, f=_links(console, plan.front, 1)):  # loads modules and tables, which stay
        pass
    start = _settled(console)
    outcome.empty = _holding(console)

    began, cpu = time.monotonic(), console.cpu()
    load = stack.enter_context(
        Load(
            "soak",
            base,
            step_deadline=STEP_DEADLINE,
            n=plan.sessions,
            f=crowd,
            d=plan.period,
            p=plan.keys,
            r=1400,
        )
    )
    outcome.set_up_seconds, outcome.set_up_cpu = time.monotonic() - began, console.cpu() - cpu
    say(f"{plan.sessions} sessions after {outcome.set_up_seconds:.1f} s")

    began = time.monotonic()
    quiet = [_look(console, load, 0, began) for _ in range(round(plan.quiet / plan.period))]
    if quiet:
        outcome.quiet = dataclasses.replace(
            quiet[-1], cpu=sum(look.cpu for look in quiet), seconds=sum(look.seconds for look in quiet)
        )
    while not outcome.looks or time.monotonic() - began < plan.quiet + plan.seconds:
        outcome.looks.append(_look(console, load, plan.typing, began))
        if len(outcome.looks) == 1 or (len(outcome.full) == 1 and settled(outcome)):
            outcome.full.append(_holding(console))
        say(line(outcome.looks[-1]))
    load.go("every")
    outcome.alive = int(load.result()["alive"])
    outcome.full.append(_holding(console))
    load.end()
    _until(lambda: console.descriptors() == start)
    give_up = time.monotonic() + FORGOTTEN
    while many((left := _holding(console)).more_than(outcome.empty), plan) and time.monotonic() < give_up:
        time.sleep(plan.period)  # a census interrupts the process: take it at the same rate
        console.disturb()
        # When consoleauth admits a session, it removes what it remembered of earlier admissions.
        with Load("hold", base, n=1, f=_links(console, plan.front, 1)):
            pass
        _until(lambda: console.descriptors() == start)  # the connections of the requests and of the session
    outcome.left = left


def _links(console: Crowd, front: str, count: int) -> str:
    """Write this many new links to a file for the load generator, and return its path."""
    file = console.folder / f"links-{count}"
    file.write_text("".join(f"{path} {name}\n" for path, name in console.links(front, count)))
    return str(file)


def _look(console: Crowd, load: Load, typing: int, began: float) -> Look:
    """Wait for one period, then take a sample."""
    cpu = console.cpu()
    load.go(f"type {typing}")
    got = load.result()
    return Look(
        at=time.monotonic() - began,
        seconds=got["secs"],
        cpu=console.cpu() - cpu,
        pss_kib=console.memory(),
        anon_kib=console.memory("Pss_Anon"),
        descriptors=console.descriptors(),
        load=os.getloadavg()[0],
        keys=got["n"],
        late=got["late"],
        p50_us=got["p50_us"],
        p99_us=got["p99_us"],
        max_us=got["max_us"],
    )


def _holding(console: Crowd) -> Holding:
    return Holding(console.memory(), console.descriptors(), dict(console.census()))


def _settled(console: Crowd) -> int:
    """Wait until the number of its descriptors is stable, because connections may still close; return the number."""
    seen: list[int] = []
    while len(seen) < 10 or len(set(seen[-10:])) > 1:
        time.sleep(0.1)
        seen.append(console.descriptors())
    return seen[-1]


def _until(so: Callable[[], bool]) -> None:
    """Wait for a condition; after the time-out continue, since the report shows what is left."""
    give_up = time.monotonic() + GONE
    while not so() and time.monotonic() < give_up:
        time.sleep(0.1)


def main() -> int:
    """Run it, and return the exit code."""
    plan, output, publish, take_overs = _options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="novnc-twisted-soak-") as folder:
        try:
            if take_overs:
                return takeovers.main(take_overs, Path(folder))
            outcome = soak(plan, Path(folder), lambda line: print(line, flush=True))
        except Unavailable as trouble:
            print(f"soak: {trouble}", file=sys.stderr)
            return 2
        except LoadFailed as trouble:
            print(f"WRONG: {trouble}")
            return 1
    report = text(outcome)
    print("\n" + report)
    name = "soak" if plan.shield else "soak-shield-off"
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{name}.json").write_text(json.dumps(dataclasses.asdict(outcome), indent=1) + "\n")
    for place in (output, PUBLISHED) if publish and not outcome.wrong else (output,):
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.md").write_text(report)
    return 1 if outcome.wrong else 0


def _options() -> tuple[Plan, Path, bool, int]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.split("\n")[0])
    plan = Plan()
    parser.add_argument("--seconds", type=float, default=plan.seconds, help="how long sessions type (3600)")
    parser.add_argument("--sessions", type=int, default=plan.sessions, help="number of sessions (5000)")
    parser.add_argument("--typing", type=int, default=plan.typing, help="how many of the sessions type (1000)")
    parser.add_argument("--keys", type=float, default=plan.keys, help="keys per second of each session that types (4)")
    parser.add_argument("--period", type=float, default=plan.period, help="seconds between two samples (10)")
    parser.add_argument("--quiet", type=float, default=plan.quiet, help="seconds without typing at the start (30)")
    parser.add_argument("--token-ttl", type=int, default=plan.token_ttl, help="seconds (600, as shipped)")
    parser.add_argument("--shield-off", dest="shield", action="store_false", help="[console] shield = false")
    parser.add_argument("--front", choices=["novnc", "xvp"], default=plan.front)
    parser.add_argument("--output", type=Path, default=CACHE, help="folder for the results (.make/bench)")
    parser.add_argument(
        "--publish", action="store_true", help="write the report to docs/performance as well, if there is no error"
    )
    parser.add_argument(
        "--take-overs",
        type=int,
        default=0,
        metavar="N",
        help="instead: 500 noVNC and 50 XVP sessions, while the services are replaced N times",
    )
    given = vars(parser.parse_args())
    take_overs: int = given.pop("take_overs")
    output: Path = given.pop("output")
    publish: bool = given.pop("publish")
    return Plan(**given), output, publish, take_overs


if __name__ == "__main__":
    sys.exit(main())
