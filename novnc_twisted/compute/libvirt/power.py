"""Power operations on a libvirt domain, such as start and reboot.  They block, so they run in threads."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import libvirt

from novnc_twisted.compute.interfaces import Operation

_CALLS: Final[Mapping[Operation, Callable[[Any], object]]] = MappingProxyType(
    {
        Operation.CREATE: lambda domain: domain.create(),
        # create() starts a domain from its saved state, if there is one.  RESTORE is a separate operation, because the
        # driver has separate threads for it.
        Operation.RESTORE: lambda domain: domain.create(),
        Operation.BOOT: lambda domain: domain.createWithFlags(libvirt.VIR_DOMAIN_START_FORCE_BOOT),
        Operation.SHUTDOWN: lambda domain: domain.shutdown(),
        Operation.DESTROY: lambda domain: domain.destroy(),
        Operation.REBOOT: lambda domain: domain.reboot(0),
        Operation.RESET: lambda domain: domain.reset(0),
        Operation.SUSPEND: lambda domain: domain.suspend(),
        Operation.RESUME: lambda domain: domain.resume(),
        Operation.SAVE: lambda domain: domain.managedSave(0),
        Operation.WAKE: lambda domain: domain.pMWakeup(0),
    }
)


def operate(domain: Any, operations: Sequence[Operation]) -> None:
    """Do operations on a virDomain, one after the other.

    :raises libvirt.libvirtError: libvirt refuses an operation; later ones are not done.
    """
    for operation in operations:
        _CALLS[operation](domain)
