"""Content negotiation by the header field Accept (RFC 9110, section 12.5.1)."""

from collections.abc import Iterable, Sequence


def best_of(fields: Sequence[str], offered: Iterable[str]) -> str | None:
    """Return the offered media type that the client prefers; None: the client accepts no offered type.

    :param fields: the values of Accept.  If there is no value, or all are blank, the client accepts everything.
    :param offered: media types without parameters; if several are equally good, the first is chosen.
    """
    ranges = [range_ for field in fields for range_ in field.split(",") if range_.strip()]
    offered = list(offered)
    if not ranges:
        return offered[0]
    weights = {media_type: _weight(media_type, ranges) for media_type in offered}
    best = max(offered, key=lambda media_type: weights[media_type])
    return best if weights[best] > 0 else None


def _weight(media_type: str, ranges: Iterable[str]) -> float:
    """Return the weight of the most specific range that matches a media type; 0 if no range matches."""
    found = (0, 0.0)
    for range_ in ranges:
        name, *parameters = (part.strip().lower() for part in range_.split(";"))
        kind = media_type.partition("/")[0]
        specific = {"*/*": 1, f"{kind}/*": 2, media_type: 3}.get(name, 0)
        if specific > found[0]:
            found = (specific, _quality(parameters))
    return found[1]


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
