"""Presses keys of a libvirt domain.  The call to libvirt blocks, so the function runs in a thread."""

from collections.abc import Sequence
from typing import Any

import libvirt


def send_keys(domain: Any, codes: Sequence[int], hold: int) -> None:
    """Press keys together and release them.  The keys may not be released yet when the function returns.

    libvirt translates Linux's key codes for the hypervisor.

    :param domain: a virDomain.
    :param hold: milliseconds between two events; each press and each release of a key is an event.
    :raises libvirt.libvirtError: libvirt refuses the keys.
    """
    domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, hold, list(codes), len(codes), 0)
