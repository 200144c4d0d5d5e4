"""The cost of each policy: the CPU time of a session's filters for it, called as the relay calls them.

``RFBConsole`` chooses the filters as for any session, and the code of the relay combines them.  No byte is sent:
the rows of the proxies contain the cost of the relay itself.
"""

import struct
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from benchmarks.load import LoadFailed
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.mode import CONTROL, VIEW
from novnc_twisted.relay.filters import FilteredRelay, FilterFunction
from novnc_twisted.rfb.clipboard import ClipboardLimits
from novnc_twisted.rfb.server_init import ServerInit
from novnc_twisted.session.rfb_console import RFBConsole
from novnc_twisted.session.settings import SessionSettings

NO_POLICY: Final = "no policy"

POLICIES: Final[Mapping[str, tuple[SessionSettings, str, bool]]] = {
    "no policy, shield off": (SessionSettings(shield=False), CONTROL, False),
    NO_POLICY: (SessionSettings(), CONTROL, False),
    "power by xvp": (SessionSettings(), CONTROL, True),
    "view-only": (SessionSettings(), VIEW, False),
    "clipboard to the server, 1 KiB": (SessionSettings(clipboard=ClipboardLimits(to_server=1024)), CONTROL, False),
    "clipboard of both, 1 KiB": (SessionSettings(clipboard=ClipboardLimits(1024, 1024)), CONTROL, False),
}
"""By title: the settings of the session, the right of its viewer, and whether power actions are offered."""

_PIXELS: Final = struct.pack(">4B3H3B3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
_OPENING: Final = ServerInit(1280, 800, _PIXELS, b"bench")
_INFO: Final = {"host": "127.0.0.1", "port": 5900, "name": "bench"}

_ENCODINGS: Final = struct.pack(">BxH4i", 2, 4, 7, 0, -223, -309)
_REQUEST: Final = struct.pack(">BBHHHH", 3, 1, 0, 0, 1280, 800)
_MESSAGES: Final = (struct.pack(">BBxxI", 4, 1, 97), struct.pack(">BBHH", 5, 0, 10, 20), _REQUEST)
"""A key, a move of the pointer, a request for the screen."""

_READ: Final = 256 * 1024  # bytes that the relay reads at a time
_SIDE: Final = 128
_RECTANGLES: Final = {
    "raw": struct.pack(">HHHHi", 0, 0, _SIDE, _SIDE, 0) + bytes(_SIDE * _SIDE * 4),
    "jpeg": struct.pack(">HHHHi", 0, 0, _SIDE, _SIDE, 7) + b"\x90\xb8\x17" + bytes(3000),
}
"""A rectangle of a server that does not compress, and one of a server with Tight's JPEG (3 kB)."""


class _Relay(FilteredRelay):
    """A relay without connections."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.client: FilterFunction = None
        self.upstream: FilterFunction = None
        self._install()

    @property
    def _from_client(self) -> FilterFunction:
        return self.client

    def _use(self, from_client: FilterFunction, from_upstream: FilterFunction) -> None:
        self.client, self.upstream = from_client, from_upstream


def measure(seconds: float = 0.3) -> dict[str, dict[str, float]]:
    """Return the values of each policy.

    :param seconds: about how long one value is measured.
    :raises LoadFailed: a session without a policy has filters besides the shield.
    """
    return {title: _of(_relay(*policy), seconds) for title, policy in POLICIES.items()}


def table(values: Mapping[str, Mapping[str, float]]) -> str:
    """Return the values as a Markdown table."""
    if not values:
        return ""
    base = values[NO_POLICY]["message_us"]
    lines = [
        "| policy | us for a message of the viewer | ratio to no policy | us for each of 64 messages together | "
        "s for a GB of raw pictures | s for a GB of JPEG |",
        "|---|---|---|---|---|---|",
    ]
    for title, found in values.items():
        ratio = f"{found['message_us'] / base:.2g} x"
        each = " | ".join(f"{found[name]:.2g}" for name in ("packed_us", "raw_s", "jpeg_s"))
        lines.append(f"| {title} | {found['message_us']:.2g} | {ratio} | {each} |")
    return "\n".join(lines)


def _relay(settings: SessionSettings, mode: str, power: bool) -> _Relay:
    """Return the relay of a session whose viewer has asked for the screen."""
    console = RFBConsole()
    relay = _Relay(console.filters(_OPENING, ConnectInfo(**_INFO, mode=mode), settings))  # type: ignore[arg-type]
    if power:
        console.offer_power(cast(Any, relay), lambda _action: None)
    for message in (_ENCODINGS, _REQUEST):
        if relay.client is not None:
            relay.client(message)
    if relay.upstream is not None:
        relay.upstream(b"\2")  # a bell: the offer of power actions is sent before it
    if settings == SessionSettings() and mode == CONTROL and (relay.upstream is not None or len(relay.filters) != 1):
        raise LoadFailed("a session without a policy has more filters than the shield")
    return relay


def _of(relay: _Relay, seconds: float) -> dict[str, float]:
    packed = b"".join(_MESSAGES * 22)[: sum(map(len, _MESSAGES)) * 21 + len(_MESSAGES[0])]
    values = {
        "message_us": 1e6 * _each(relay.client, _MESSAGES, seconds) / len(_MESSAGES),
        "packed_us": 1e6 * _each(relay.client, (packed,), seconds) / 64,
    }
    for name, rectangle in _RECTANGLES.items():
        update = struct.pack(">BxH", 0, 16) + rectangle * 16
        stream = update * max(1, 8 * _READ // len(update))
        reads = tuple(stream[at : at + _READ] for at in range(0, len(stream), _READ))
        values[f"{name}_s"] = 1e9 * _each(relay.upstream, reads, seconds) / len(stream)
    return values


def _each(look: Callable[[bytes], bytes] | None, pieces: tuple[bytes, ...], seconds: float) -> float:
    """Return the CPU seconds of one pass over all pieces; 0 without a filter, since the relay calls nothing."""
    if look is None:
        return 0.0
    passes, spent = 1, 0.0
    while spent < seconds:
        passes *= 2
        began = time.process_time()
        for _ in range(passes):
            for piece in pieces:
                look(piece)
        spent = time.process_time() - began
    return spent / passes
