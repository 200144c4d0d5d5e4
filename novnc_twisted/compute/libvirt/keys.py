"""Presses keys of a libvirt domain.  The function blocks, so it runs in a thread."""

from collections.abc import Sequence
from typing import Any

import libvirt


def send_keys(domain: Any, codes: Sequence[int], hold: int) -> None:
    """Press and release keys, without waiting for the end; libvirt translates Linux's key codes for the hypervisor.

    :param domain: a virDomain.
    :param hold: milliseconds between two events.
    :raises libvirt.libvirtError: libvirt refuses it.
    """
    domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, hold, list(codes), len(codes), 0)
