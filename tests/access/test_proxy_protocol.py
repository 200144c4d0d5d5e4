"""PROXY headers: valid ones, invalid ones, and how many bytes are read before the decision."""

import random
import struct
from ipaddress import ip_address

from twisted.trial.unittest import TestCase

from novnc_twisted.access.proxy_protocol import MAX_PAYLOAD, BadProxyHeader, ProxyHeader, read_proxy_header

START = b"\r\n\r\n\0\r\nQUIT\n"


def version_2(
    source: str, port: int = 4711, *, command: int = 0x21, family: int | None = None, more: bytes = b""
) -> bytes:
    """Return a header of version 2."""
    address = ip_address(source)
    addresses = address.packed + type(address)(1).packed + struct.pack(">HH", port, 6080)
    family = (0x11 if address.version == 4 else 0x21) if family is None else family
    return START + struct.pack(">BBH", command, family, len(addresses + more)) + addresses + more


GOOD = {
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 6080\r\n": ("192.0.2.7", 4711),
    b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n": ("255.255.255.255", 65535),
    b"PROXY TCP6 2001:DB8::7 2001:db8::1 4711 0\r\n": ("2001:db8::7", 4711),
    b"PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 6080\r\n": ("192.0.2.7", 4711),
    b"PROXY UNKNOWN\r\n": ("unknown", 0),
    b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n": ("unknown", 0),
    version_2("192.0.2.7"): ("192.0.2.7", 4711),
    version_2("2001:db8::7", 1): ("2001:db8::7", 1),
    version_2("::ffff:192.0.2.7"): ("192.0.2.7", 4711),
    version_2("192.0.2.7", more=b"\x20\x00\x01x" * 100): ("192.0.2.7", 4711),
    version_2("192.0.2.7", command=0x20): (None, 0),
    START + b"\x20\x00\0\0": (None, 0),
    START + b"\x21\x00\0\0": ("unknown", 0),
    START + b"\x21\x31\0\xd8" + bytes(216): ("unknown", 0),
}

BAD = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01",
    b"proxy TCP4 192.0.2.7 198.51.100.1 4711 6080\r\n",
    b"PROXY\r\n",
    b"PROXY TCP4\r\n",
    b"PROXY TCP5 192.0.2.7 198.51.100.1 4711 6080\r\n",
    b"PROXY UDP4 192.0.2.7 198.51.100.1 4711 6080\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 6080 1\r\n",
    b"PROXY TCP4  192.0.2.7 198.51.100.1 4711 6080\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 65536\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 04711 6080\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 6080\r\n",
    "PROXY TCP4 192.0.2.7 198.51.100.1 ٤ 6080\r\n".encode(),
    b"PROXY TCP4 192.0.2.777 198.51.100.1 4711 6080\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 6080\r\n",
    b"PROXY TCP4 localhost 198.51.100.1 4711 6080\r\n",
    b"PROXY " + b"x" * 101,
    START + b"\x11\x11\0\x0c" + bytes(12),
    START + b"\x22\x11\0\x0c" + bytes(12),
    START + b"\x21\x12\0\x0c" + bytes(12),
    START + b"\x21\x11\0\x0b" + bytes(11),
    START + b"\x21\x21\0\x0c" + bytes(12),
    START + b"\x21\x31\0\x0c" + bytes(12),
    START + b"\x21\x11" + struct.pack(">H", MAX_PAYLOAD + 1),
    START + b"\x20\x00\xff\xff",
)


class HeaderTests(TestCase):
    def test_good(self) -> None:
        for data, (host, port) in GOOD.items():
            for rest in (b"", b"\x16rest"):
                self.assertEqual(read_proxy_header(data + rest), ProxyHeader(host, port, len(data)), data)

    def test_piece_by_piece(self) -> None:
        """There is no result before the header is complete."""
        for data in GOOD:
            for end in range(len(data)):
                self.assertIsNone(read_proxy_header(data[:end]), data[:end])

    def test_bad(self) -> None:
        for data in BAD:
            self.assertRaises(BadProxyHeader, read_proxy_header, data)

    def test_nothing_is_quoted(self) -> None:
        """The errors, which are logged, quote none of the data."""
        for data in BAD:
            error = self.assertRaises(BadProxyHeader, read_proxy_header, data.replace(b"192.0.2.7", b"secret"))
            self.assertNotIn("secret", str(error))

    def test_garbage_is_refused_after_few_bytes(self) -> None:
        """Headers with changed bytes, received byte by byte, are decided on after a bounded number of bytes."""
        chance = random.Random(4)
        for data in list(GOOD) * 20:
            changed = bytearray(data)
            for _ in range(chance.randrange(1, 4)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            sent = bytes(changed) + bytes(16 + MAX_PAYLOAD)
            for end in range(16 + MAX_PAYLOAD + 1):
                try:
                    if read_proxy_header(sent[:end]) is not None:
                        break
                except BadProxyHeader:
                    break
            else:
                self.fail(f"still waiting: {bytes(changed)!r}")
