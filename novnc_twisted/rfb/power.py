"""The xvp extension: a viewer can shut down, reboot or reset the VM (rfbproto, "xvp Client Message").

The proxy handles these messages itself.  The VNC server does not see them, and does not decide who may send them.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from .shield import Shield

XVP_INIT: Final = b"\xfa\0\1\1"
"""The message "xvp is available, version 1", sent by the proxy; viewers then show their power buttons."""


class PowerCode(IntEnum):
    """What a viewer asks for.  The other two codes, 0 and 1, are only sent to viewers."""

    SHUTDOWN = 2
    REBOOT = 3
    RESET = 4


class PowerOffer:
    """A filter that sends :data:`XVP_INIT` to the viewer, if the viewer supports xvp.

    The filter sends this message before the first bytes that the VNC server sends after ServerInit.  At this place, the
    message cannot fall inside another one.  Later, the filter would have to find the ends of all messages.  When the
    first bytes arrive, the viewer's encodings are already known, because QEMU sends nothing before it has received
    the encodings.

    :param shield: knows the encodings that the viewer has listed.
    :param done: called with this filter when the first bytes of the VNC server arrive, so that the filter is removed.
    """

    __slots__ = ("_done", "_shield")

    def __init__(self, shield: Shield, done: Callable[["PowerOffer"], None]) -> None:
        self._shield = shield
        self._done = done

    def from_upstream(self, data: bytes) -> bytes:
        """Call ``done``.  Put :data:`XVP_INIT` before the bytes if the viewer supports xvp.

        If the viewer does not support xvp, set the shield's ``power`` to None: then the shield only removes xvp
        messages.
        """
        self._done(self)
        if not self._shield.asks_for_power:
            self._shield.power = None
            return data
        return XVP_INIT + data
