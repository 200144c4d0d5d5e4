"""A link for a guest, which the proxy sends to the page that requested it; it is not sent between services."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A link for a guest.

    :ivar token: the token of the link.
    :ivar expires_in: seconds from now after which the link and its sessions end.
    """

    token: str = field(repr=False)
    expires_in: float
