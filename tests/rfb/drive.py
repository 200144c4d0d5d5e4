"""Drive a handshake by bytes, in whatever chunks."""

from itertools import pairwise

from hypothesis import strategies as st

from novnc_twisted.rfb import HandshakeDriver


def chunks_of(data, cuts):
    """The data cut at these places."""
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


cuttings = st.lists(st.integers(0, 1 << 16), max_size=12)


def converse(handshake, data, cuts=(), password=None, **limits):
    """What comes of it: the handshake at its end, and all that it wrote."""
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
    """The same as values that can be compared."""
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
