"""What VNC servers say, phase by phase: one that is good, and what hostile ones say in its place."""

import struct
from dataclasses import dataclass

from novnc_twisted.rfb.security.vnc import response
from tests.support.script import LEAVES, Close, Flood, Hear, Say, Script, StartTLS
from tests.support.vnc_server import CHALLENGE, GARBAGE, server_init, update, with_length

PASSWORD = "Pa55w0rd"
ANSWER = response(PASSWORD, CHALLENGE)
ENDLESS = b"\xff\xff\xff\xff"
"""A length of 4 GiB."""


@dataclass(frozen=True)
class Phase:
    """What a good server says in it, and for how many bytes of ours it waits then."""

    name: str
    words: bytes
    answered: int

    @property
    def script(self) -> Script:
        return Say(self.words), Hear(self.answered)


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


def told(phases: tuple[Phase, ...]) -> Script:
    """All that a good server says in them."""
    return tuple(step for phase in phases for step in phase.script)


GOOD = told(PLAIN)
GOOD_VNC = told(VNC)
GOOD_VENCRYPT = (*told(VENCRYPT), StartTLS(), *told((RESULT, INIT)))
PICTURE = update(0, 0, 16, 16, 7)


@dataclass(frozen=True)
class Row:
    """A hostile server: where it is so, how, and what of it the log is to say.

    :ivar cut: seconds of rfb_deadline, where nothing but the deadline ends it; None: the promised one.
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
    """What can be done in any phase."""
    rows = []
    seen = set()
    for way in (PLAIN, VNC, VENCRYPT, OLD):
        for at, phase in enumerate(way):
            if phase.name in seen:
                continue
            seen.add(phase.name)
            before = told(way[:at])
            half = Say(phase.words[: len(phase.words) // 2])
            nothing = "in time"
            rows += [
                Row(phase.name, "silence", before, nothing, 0.05),
                Row(phase.name, "garbage", (*before, Say(GARBAGE)), "", 0.3),
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
    """What only one phase has."""
    v38, types, vnc, result = told((VERSION,)), told((VERSION, TYPES)), told((VERSION, VNC_TYPES)), told(PLAIN[:2])
    vencrypt, subtypes = told(VENCRYPT[:3]), told(VENCRYPT[:4])
    huge = ENDLESS + b"A" * 5000
    words = "RFB 003.008\n"
    rows = [
        ("version", "lengthless", (Say(b"SSH-2.0-OpenSSH_9\r\n"), Close()), "not an RFB server"),
        ("version", "unknown", (Say(b"RFB 002.000\n"),), "RFB 2.0"),
        ("version", "of letters", (Say(b"RFB 00a.008\n"),), "not an RFB server"),
        ("version", "100 KiB ahead of its turn", (Say(words.encode() + bytes(100 << 10)),), ""),
        ("types", "none, a reason of 4 GiB", (*v38, Say(b"\0" + huge), Flood(b"A")), "refuses us"),
        ("types", "none, a reason that never comes", (*v38, Say(b"\0\0\0\0\x10half"), Close()), "closed"),
        ("types", "none, no reason", (*v38, Say(b"\0" + bytes(4))), "refuses us"),
        ("types", "none, a reason of control bytes", (*v38, Say(b"\0" + with_length(b"\x1b[2J\r\n"))), "?[2J??"),
        ("types", "all unknown", (*v38, Say(b"\x03\x1e\x23\x81")), "no common security type"),
        ("types", "255 of 0", (*v38, Say(b"\xff" + bytes(255))), "no common security type"),
        ("types", "only Tight", (*v38, Say(b"\1\x10")), "no common security type"),
        (
            "type 3.3",
            "invalid, a reason of 4 GiB",
            (Say(b"RFB 003.003\n"), Hear(12), Say(bytes(4) + huge)),
            "refuses us",
        ),
        ("type 3.3", "VeNCrypt", (Say(b"RFB 003.003\n"), Hear(12), Say(b"\0\0\0\x13")), "no common security type"),
        ("challenge", "result in its place", (*vnc, Say(bytes(4)), Close()), "closed"),
        ("vencrypt version", "0.1", (*told(VENCRYPT[:2]), Say(b"\0\1")), "VeNCrypt 0.1"),
        ("vencrypt version", "refused", (*told(VENCRYPT[:3]), Say(b"\xff")), "refuses 0.2"),
        ("vencrypt subtypes", "none", (*vencrypt, Say(b"\0\0")), "no common VeNCrypt sub-type"),
        ("vencrypt subtypes", "255 unknown", (*vencrypt, Say(b"\0\xff" + bytes(4 * 255))), "no common"),
        ("vencrypt subtypes", "only without a certificate", (*vencrypt, Say(b"\0\1\0\0\1\1")), "no common"),
        ("vencrypt answer", "refused", (*subtypes, Say(b"\0")), "refuses the VeNCrypt sub-type"),
        ("vencrypt answer", "plaintext behind it", (*subtypes, Say(b"\1" + bytes(4))), "in clear"),
        ("tls", "garbage", (*subtypes, Say(b"\1"), Hear(1), Say(GARBAGE)), "TLS"),
        ("tls", "flood of garbage", (*subtypes, Say(b"\1"), Hear(1), Flood(GARBAGE)), "TLS"),
        ("tls", "an alert", (*subtypes, Say(b"\1"), Hear(1), Say(b"\x15\3\3\0\2\2\x28")), "TLS"),
        ("tls", "a record of 64 KiB", (*subtypes, Say(b"\1"), Hear(1), Say(b"\x16\3\3\xff\xff" + bytes(70000))), "TLS"),
        ("tls", "our hello back", (*subtypes, Say(b"\1"), Hear(1), Say(b"\x16\3\1\0\5\1\0\0\1\0")), "TLS"),
        *(("tls", how, (*subtypes, Say(b"\1"), Hear(1), *leave), "TLS") for how, leave in LEAVES.items()),
        (
            "result",
            "failed, a reason of 4 GiB",
            (*result, Say(b"\0\0\0\1" + huge), Flood(b"A")),
            "authentication failed",
        ),
        ("result", "too many", (*result, Say(b"\0\0\0\2" + with_length(b"wait"))), "too many failed attempts"),
        ("result", "unknown", (*result, Say(b"\0\0\0\7")), "SecurityResult 7"),
        (
            "result",
            "wrong password",
            (*vnc, Say(CHALLENGE), Hear(16), Say(b"\0\0\0\1" + with_length(b"no"))),
            "failed: no",
        ),
        ("init", "a name of 4 GiB", (*types, Say(bytes(4)), Hear(1), Say(server_init()[:20] + huge)), "a name of"),
        ("init", "no pixels", (*types, Say(bytes(4)), Hear(1), Say(server_init(size=(0, 48)))), "0 x 48"),
        (
            "init",
            "65535 x 65535",
            (*types, Say(bytes(4)), Hear(1), Say(server_init(size=(65535, 65535)))),
            "65535 x 65535",
        ),
    ]
    return [Row(phase, name, script, detail) for phase, name, script, detail in rows]


ROWS = (
    *_of_every_phase(),
    Row("tls", "silence", (*told(VENCRYPT), Hear(1)), "in time", 0.05),
    *_of_their_own(),
)
"""The matrix."""
