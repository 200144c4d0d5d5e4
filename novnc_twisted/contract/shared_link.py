"""A link for a guest.  The proxy makes it and sends it to the console page that requested it.

consoleauth receives only the hash of the token.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A link for a guest.

    :ivar token: the token of the link.
    :ivar expires_in: seconds from now after which the link and its sessions end.
    """

    token: str = field(repr=False)
    expires_in: float
