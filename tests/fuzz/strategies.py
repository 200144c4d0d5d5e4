"""Strategies of hypothesis for a target's inputs: random bytes, its words, and its corpus with a few changes."""

from hypothesis import strategies as st

from .table import corpus
from .tools import Target


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Inputs of at most ``target.longest`` bytes."""
    pieces = st.binary(max_size=8)
    if target.words:
        pieces = st.one_of(st.sampled_from(target.words), pieces)
    made = st.tuples(st.binary(max_size=1), st.lists(pieces, max_size=10)).map(
        lambda parts: parts[0] + b"".join(parts[1])
    )
    seeds = corpus(target.name)
    if seeds:
        known = st.sampled_from(seeds)
        changes = st.lists(st.tuples(st.integers(0, target.longest), st.integers(0, 4), pieces), max_size=4)
        changed = st.tuples(known, changes).map(_changed)
        made = st.one_of(made, changed, st.tuples(known, known).map(b"".join))
    return made.map(lambda data: data[: target.longest])


def _changed(parts: tuple[bytes, list[tuple[int, int, bytes]]]) -> bytes:
    """The seed with inserted or replaced pieces."""
    data = bytearray(parts[0])
    for at, count, piece in parts[1]:
        place = at % (len(data) + 1)
        data[place : place + count] = piece
    return bytes(data)
