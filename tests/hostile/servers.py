"""Scripts of VNC servers, phase by phase: what good ones send, and what hostile ones send instead."""

import struct
from dataclasses import dataclass

from novnc_twisted.rfb.security.vnc import response
from tests.support.script import LEAVES, Close, Flood, Receive, Script, Send, StartTLS
from tests.support.vnc_server import CHALLENGE, GARBAGE, server_init, update, with_length

PASSWORD = "Pa55w0rd"
ANSWER = response(PASSWORD, CHALLENGE)
ENDLESS = b"\xff\xff\xff\xff"
"""A length of 4 GiB."""


@dataclass(frozen=True)
class Phase:
    """What a good server sends in a phase, and how many bytes from the proxy it then waits for."""

    name: str
    words: bytes
    answered: int

    @property
    def script(self) -> Script:
        return Send(self.words), Receive(self.answered)


VERSION = Phase("version", b"RFB 003.008\n", 12)
TYPES = Phase("types", b"\1\1", 1)
RESULT = Phase("result", bytes(4), 1)  # ClientInit follows
INIT = Phase("init", server_init(), 0)
VNC_TYPES = Phase("vnc types", b"\1\2", 1)
VNC_CHALLENGE = Phase("challenge", CHALLENGE, 16)
VENCRYPT_TYPES = Phase("vencrypt types", b"\1\x13", 1)
VENCRYPT_VERSION = Phase("vencrypt version", b"\0\2", 2)
VENCRYPT_SUBTYPES = Phase("vencrypt subtypes", b"\0\1" + struct.pack(">I", 260), 4)
VENCRYPT_ANSWER = Phase("vencrypt answer", b"\1", 0)

PLAIN = (VERSION, TYPES, RESULT, INIT)
VNC = (VERSION, VNC_TYPES, VNC_CHALLENGE, RESULT, INIT)
VENCRYPT = (VERSION, VENCRYPT_TYPES, VENCRYPT_VERSION, VENCRYPT_SUBTYPES, VENCRYPT_ANSWER)
OLD = (Phase("version 3.3", b"RFB 003.003\n", 12), Phase("type 3.3", b"\0\0\0\1", 1), INIT)


def script_of(phases: tuple[Phase, ...]) -> Script:
    """The script of a good server in these phases."""
    return tuple(step for phase in phases for step in phase.script)


GOOD = script_of(PLAIN)
GOOD_VNC = script_of(VNC)
GOOD_VENCRYPT = (*script_of(VENCRYPT), StartTLS(), *script_of((RESULT, INIT)))
PICTURE = update(0, 0, 16, 16, 7)


@dataclass(frozen=True)
class Row:
    """A hostile server.

    :ivar phase: where it deviates from a good one.
    :ivar name: how it deviates.
    :ivar detail: text that the log has to contain.
    :ivar cut: rfb_deadline in seconds, if only the deadline ends the session; None: the default.
    """

    phase: str
    name: str
    script: Script
    detail: str
    cut: float | None = None

    @property
    def title(self) -> str:
        return f"{self.phase} {self.name}".replace(" ", "_").replace(".", "_")


def _of_every_phase() -> list[Row]:
    """Deviations that are possible in every phase."""
    rows = []
    seen = set()
    for way in (PLAIN, VNC, VENCRYPT, OLD):
        for at, phase in enumerate(way):
            if phase.name in seen:
                continue
            seen.add(phase.name)
            before = script_of(way[:at])
            half = Send(phase.words[: len(phase.words) // 2])
            nothing = "in time"
            rows += [
                Row(phase.name, "silence", before, nothing, 0.05),
                Row(phase.name, "garbage", (*before, Send(GARBAGE)), "", 0.3),
                Row(phase.name, "flood of garbage", (*before, Flood(GARBAGE)), ""),
                *(Row(phase.name, how, (*before, *leave), "closed") for how, leave in LEAVES.items()),
            ]
            if len(phase.words) > 1:
                rows += [
                    Row(phase.name, "half and silence", (*before, half), nothing, 0.05),
                    *(
                        Row(phase.name, f"half and {how}", (*before, half, *leave), "closed")
                        for how, leave in LEAVES.items()
                    ),
                ]
    return rows


def _of_their_own() -> list[Row]:
    """Deviations that are possible in one phase only."""
    v38, types, vnc, result = (
        script_of((VERSION,)),
        script_of((VERSION, TYPES)),
        script_of((VERSION, VNC_TYPES)),
        script_of(PLAIN[:2]),
    )
    vencrypt, subtypes = script_of(VENCRYPT[:3]), script_of(VENCRYPT[:4])
    huge = ENDLESS + b"A" * 5000
    words = "RFB 003.008\n"
    rows = [
        ("version", "an SSH server", (Send(b"SSH-2.0-OpenSSH_9\r\n"), Close()), "not an RFB server"),
        ("version", "unknown", (Send(b"RFB 002.000\n"),), "RFB 2.0"),
        ("version", "of letters", (Send(b"RFB 00a.008\n"),), "not an RFB server"),
        ("version", "and 100 KiB too early", (Send(words.encode() + bytes(100 << 10)),), ""),
        ("types", "none, a reason of 4 GiB", (*v38, Send(b"\0" + huge), Flood(b"A")), "refuses us"),
        ("types", "none, a reason that never comes", (*v38, Send(b"\0\0\0\0\x10half"), Close()), "closed"),
        ("types", "none, no reason", (*v38, Send(b"\0" + bytes(4))), "refuses us"),
        ("types", "none, a reason of control bytes", (*v38, Send(b"\0" + with_length(b"\x1b[2J\r\n"))), "?[2J??"),
        ("types", "all unknown", (*v38, Send(b"\x03\x1e\x23\x81")), "no common security type"),
        ("types", "255 of 0", (*v38, Send(b"\xff" + bytes(255))), "no common security type"),
        ("types", "only Tight", (*v38, Send(b"\1\x10")), "no common security type"),
        (
            "type 3.3",
            "invalid, a reason of 4 GiB",
            (Send(b"RFB 003.003\n"), Receive(12), Send(bytes(4) + huge)),
            "refuses us",
        ),
        ("type 3.3", "VeNCrypt", (Send(b"RFB 003.003\n"), Receive(12), Send(b"\0\0\0\x13")), "no common security type"),
        ("challenge", "result in its place", (*vnc, Send(bytes(4)), Close()), "closed"),
        ("vencrypt version", "0.1", (*script_of(VENCRYPT[:2]), Send(b"\0\1")), "VeNCrypt 0.1"),
        ("vencrypt version", "refused", (*script_of(VENCRYPT[:3]), Send(b"\xff")), "refuses 0.2"),
        ("vencrypt subtypes", "none", (*vencrypt, Send(b"\0\0")), "no common VeNCrypt sub-type"),
        ("vencrypt subtypes", "255 unknown", (*vencrypt, Send(b"\0\xff" + bytes(4 * 255))), "no common"),
        ("vencrypt subtypes", "only without a certificate", (*vencrypt, Send(b"\0\1\0\0\1\1")), "no common"),
        ("vencrypt answer", "refused", (*subtypes, Send(b"\0")), "refuses the VeNCrypt sub-type"),
        ("vencrypt answer", "plaintext behind it", (*subtypes, Send(b"\1" + bytes(4))), "in clear"),
        ("tls", "garbage", (*subtypes, Send(b"\1"), Receive(1), Send(GARBAGE)), "TLS"),
        ("tls", "flood of garbage", (*subtypes, Send(b"\1"), Receive(1), Flood(GARBAGE)), "TLS"),
        ("tls", "an alert", (*subtypes, Send(b"\1"), Receive(1), Send(b"\x15\3\3\0\2\2\x28")), "TLS"),
        (
            "tls",
            "a record of 64 KiB",
            (*subtypes, Send(b"\1"), Receive(1), Send(b"\x16\3\3\xff\xff" + bytes(70000))),
            "TLS",
        ),
        ("tls", "our hello back", (*subtypes, Send(b"\1"), Receive(1), Send(b"\x16\3\1\0\5\1\0\0\1\0")), "TLS"),
        *(("tls", how, (*subtypes, Send(b"\1"), Receive(1), *leave), "TLS") for how, leave in LEAVES.items()),
        (
            "result",
            "failed, a reason of 4 GiB",
            (*result, Send(b"\0\0\0\1" + huge), Flood(b"A")),
            "authentication failed",
        ),
        ("result", "too many", (*result, Send(b"\0\0\0\2" + with_length(b"wait"))), "too many failed attempts"),
        ("result", "unknown", (*result, Send(b"\0\0\0\7")), "SecurityResult 7"),
        (
            "result",
            "wrong password",
            (*vnc, Send(CHALLENGE), Receive(16), Send(b"\0\0\0\1" + with_length(b"no"))),
            "failed: no",
        ),
        ("init", "a name of 4 GiB", (*types, Send(bytes(4)), Receive(1), Send(server_init()[:20] + huge)), "a name of"),
        ("init", "no pixels", (*types, Send(bytes(4)), Receive(1), Send(server_init(size=(0, 48)))), "0 x 48"),
        (
            "init",
            "65535 x 65535",
            (*types, Send(bytes(4)), Receive(1), Send(server_init(size=(65535, 65535)))),
            "65535 x 65535",
        ),
    ]
    return [Row(phase, name, script, detail) for phase, name, script, detail in rows]


ROWS = (
    *_of_every_phase(),
    Row("tls", "silence", (*script_of(VENCRYPT), Receive(1)), "in time", 0.05),
    *_of_their_own(),
)
"""All hostile servers."""
