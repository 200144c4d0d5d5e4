"""Drive a talk by bytes, in whatever chunks."""

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st

from novnc_twisted.rfb import Conversation


def chunks_of(data, cuts):
    """The data cut at these places."""
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


untimed = settings(deadline=None)
"""For hypothesis: a busy machine is no failure."""

cuttings = st.lists(st.integers(0, 1 << 16), max_size=12)


def converse(talk, data, cuts=(), password=None, **limits):
    """What comes of it: the conversation at its end, and all that it wrote."""
    conversation = Conversation(talk, **limits)
    conversation.start()
    sent = conversation.to_send()
    for chunk in chunks_of(data, cuts):
        conversation.receive(chunk)
        if conversation.asks is not None:
            conversation.answer(password)
        sent += conversation.to_send()
    return conversation, sent


def outcome(talk, data, cuts=(), password=None):
    """The same as values that can be compared."""
    conversation, sent = converse(talk, data, cuts, password)
    error = conversation.error
    return (
        conversation.done,
        conversation.result,
        error and (type(error), error.detail),
        conversation.rest,
        conversation.waiting_for,
        sent,
    )
