"""Pass bytes to a handshake or a shield, in chunks of any size."""

from itertools import pairwise

from hypothesis import strategies as st

from novnc_twisted.errors import Refusal
from novnc_twisted.rfb import HandshakeDriver
from novnc_twisted.rfb.client_messages import MAX_ENCODINGS

MOST_HELD = 4 + 4 * MAX_ENCODINGS


def chunks_of(data, cuts):
    """Return the data, cut at these places (modulo its length plus one)."""
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


cuttings = st.lists(st.integers(0, 1 << 16), max_size=12)


def converse(handshake, data, cuts=(), password=None, **limits):
    """Run a handshake with this data; return its driver and all bytes that it sent."""
    driver = HandshakeDriver(handshake, **limits)
    driver.start()
    sent = driver.to_send()
    for chunk in chunks_of(data, cuts):
        driver.receive(chunk)
        if driver.asks is not None:
            driver.answer(password)
        sent += driver.to_send()
    return driver, sent


def outcome(handshake, data, cuts=(), password=None):
    """Do the same, but return values that can be compared."""
    driver, sent = converse(handshake, data, cuts, password)
    error = driver.error
    return (
        driver.done,
        driver.result,
        error and (type(error), error.detail),
        driver.rest,
        driver.waiting_for,
        sent,
    )


def through(shield, data, cuts=()):
    """Return the bytes that pass, and the class of the refusal or None; check that few bytes are held."""
    passed = b""
    try:
        for chunk in chunks_of(data, cuts):
            if chunk:
                passed += shield.from_client(chunk)
            if shield.held > MOST_HELD:
                raise AssertionError(f"holds {shield.held} bytes")
    except Refusal as refusal:
        if not refusal.detail:
            raise AssertionError("a refusal without a reason") from refusal
        return passed, type(refusal)
    return passed, None
