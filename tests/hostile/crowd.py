"""Random sessions: a seed determines the plan of each, for both peers and for the proxy between them."""

from dataclasses import dataclass
from random import Random

from novnc_twisted import errors
from tests.hostile import servers
from tests.hostile.clients import FRONTS, MESSAGES, Dialect, ahead, introduced
from tests.session.harness import frame
from tests.support.script import (
    LEAVES,
    AnswerClose,
    Deaf,
    Flood,
    Pause,
    Script,
    Send,
    Step,
    bytes_sent,
    changed,
    cut,
    trickled,
)

MARK = "5ecre7"
"""Part of each token and password, and of nothing else."""

REFUSALS = (errors.ConsoleForbidden, errors.InstanceNotFound, errors.InstanceNotRunning, errors.ServiceUnavailable)
BROKEN_FRAMES = (
    b"\x82\xff" + b"\xff" * 12,
    b"\xf2\x80\0\0\0\0",
    b"\x82\x01x",
    b"\x8b\x80\0\0\0\0",
    b"\x80\x80\0\0\0\0",
)
KINDS = ("good", "cut", "changed", "trickled", "stalls")


@dataclass(frozen=True)
class Plan:
    """One session.

    :ivar answer: the result of the token check: ``good``, ``unknown``, ``never``, or the name of a refusal.
    :ivar where: ``tcp``, ``unix``, or ``nowhere`` (a port without a listener).
    :ivar detached: whether the session may use the detached relay.
    :ivar tls: whether the viewer connects by TLS.
    :ivar patient: whether the test waits until the proxy's own deadlines end a stalled session.
    """

    token: str
    by: Dialect
    client: Script
    server: Script
    answer: str
    where: str
    detached: bool
    tls: bool
    patient: bool


def plan(seed: int, number: int) -> Plan:
    """The plan of the session with this number; a seed always gives the same one."""
    chance = Random(f"{seed} {number}")
    by = chance.choice(FRONTS)
    token = f"{MARK}-{number}"
    tls = chance.random() < 0.04
    client, server = _client(chance, by, token), _server(chance)
    endless = any(isinstance(step, Deaf | Flood) for step in (*client, *server))
    return Plan(
        token=token,
        by=by,
        client=client,
        server=server,
        answer=chance.choices(("good", "unknown", "never", chance.choice(REFUSALS).__name__), (90, 5, 1, 4))[0],
        where=chance.choices(("tcp", "unix", "nowhere"), (60, 36, 4))[0],
        detached=chance.random() < 0.6,
        tls=tls,
        patient=not endless and chance.random() < 0.01,
    )


def _client(chance: Random, by: Dialect, token: str) -> Script:
    begin = introduced(by, token) if chance.random() < 0.85 else ahead(by, token)
    live: tuple[Step, ...] = tuple(_of_a_viewer(chance, by) for _ in range(chance.randrange(5)))
    return _varied(chance, (*begin, *live, *_end(chance, by)))


def _server(chance: Random) -> Script:
    if chance.random() < 0.1:
        return chance.choice(servers.ROWS).script
    good = chance.choices((servers.GOOD, servers.GOOD_VNC, servers.GOOD_VENCRYPT), (80, 16, 4))[0]
    live: tuple[Step, ...] = tuple(_of_a_server(chance) for _ in range(chance.randrange(4)))
    end = chance.choice(tuple(LEAVES.values())) if chance.random() < 0.4 else ()
    return _varied(chance, (*good, *live, *end))


def _varied(chance: Random, script: Script) -> Script:
    """A good script, damaged in a random way, or unchanged."""
    kind = chance.choices(KINDS, (76, 12, 6, 1, 5))[0]
    if kind == "cut":
        return cut(script, chance.randrange(bytes_sent(script) + 1), chance.choice(tuple(LEAVES.values())))
    if kind == "changed":
        return changed(script, lambda data: _damaged(chance, data) if chance.random() < 0.3 else data)
    if kind == "trickled":
        return trickled(script)
    if kind == "stalls":
        return script[: chance.randrange(len(script))]
    return script


def _damaged(chance: Random, data: bytes) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return chance.choice(
        (
            data[:at] + bytes((chance.randrange(256),)) + data[at + 1 :],
            data[:at] + chance.randbytes(chance.randrange(1, 40)) + data[at:],
            data[:at],
            data + data,
            data[:at] + servers.ENDLESS + data[at:],
        )
    )


def _of_a_viewer(chance: Random, by: Dialect) -> Step:
    steps: list[Step] = [
        Send(by.message(MESSAGES)),
        Send(by.message(MESSAGES * chance.randrange(1, 200))),
        Pause(chance.randrange(1, 4)),
    ]
    if chance.random() < 0.1:
        steps += [
            Deaf(),
            Flood(by.message(MESSAGES)),
            Send(chance.randbytes(40)),
            Send(by.message(chance.randbytes(40))),
        ]
    if by.name == "novnc" and chance.random() < 0.2:
        steps += [Send(frame(9, b"ping")), Send(frame(1, b"text")), Send(chance.choice(BROKEN_FRAMES))]
    return chance.choice(steps)


def _of_a_server(chance: Random) -> Step:
    steps: list[Step] = [
        Send(servers.PICTURE),
        Send(servers.PICTURE * chance.randrange(1, 60)),
        Pause(chance.randrange(1, 4)),
    ]
    if chance.random() < 0.1:
        steps += [Deaf(), Flood(servers.PICTURE), Send(chance.randbytes(200))]
    return chance.choice(steps)


def _end(chance: Random, by: Dialect) -> Script:
    ends: list[Script] = [*LEAVES.values(), (Pause(2),)]
    if by.name == "novnc":
        ends += [by.bye, (AnswerClose(),), (*by.bye, *LEAVES["close"])]
    return chance.choice(ends)
