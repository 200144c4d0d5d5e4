"""Fake libvirt connections and domains."""

from typing import Any

import libvirt


class Error(libvirt.libvirtError):
    """An error with a code that the test chooses."""

    def __init__(self, code: int) -> None:
        super().__init__("refused by the test")
        self.code = code

    def get_error_code(self) -> int:
        return self.code

    def get_error_message(self) -> str:
        return "refused by the test"


class Handle:
    """A domain whose values the test sets."""

    def __init__(
        self, uuid: str = "c7a5fdbd-edaf-9455-926a-d65c16db1809", name: str = "vm", number: int = 1, state: int = 1
    ) -> None:
        self.uuid, self.number, self.current, self.label = uuid, number, state, name
        self.project = "red"
        self.body = ""
        self.error: Exception | None = None
        self.read = 0

    def UUIDString(self) -> str:
        return self.uuid

    def ID(self) -> int:
        return self.number

    def name(self) -> str:
        return self.label

    def state(self) -> list[int]:
        return [self.current, 0]

    def XMLDesc(self, _flags: int = 0) -> str:
        self.read += 1
        if self.error is not None:
            raise self.error
        active = f" id='{self.number}'" if self.number >= 0 else ""
        return (
            f"<domain type='qemu'{active}><name>{self.label}</name><uuid>{self.uuid}</uuid><metadata>"
            "<n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'><n:owner>"
            f"<n:project uuid='{self.project}'>{self.project}</n:project></n:owner></n:instance></metadata>"
            f"{self.body}</domain>"
        )


class Connection:
    """A connection to fake domains.

    :ivar stats: whether it has virConnectGetAllDomainStats.
    """

    def __init__(self, *handles: Handle) -> None:
        self.handles = list(handles)
        self.stats = True
        self.alive = True
        self.listed = 0

    def isAlive(self) -> bool:
        return self.alive

    def getAllDomainStats(self, _wanted: int, _flags: int) -> list[tuple[Handle, dict[str, Any]]]:
        if not self.stats:
            raise Error(libvirt.VIR_ERR_NO_SUPPORT)
        return [(handle, {"state.state": handle.current, "state.reason": 0}) for handle in self.listAllDomains(0)]

    def listAllDomains(self, _flags: int) -> list[Handle]:
        self.listed += 1
        return list(self.handles)

    def listDomainsID(self) -> list[int]:
        return [handle.number for handle in self.handles if handle.number >= 0]

    def lookupByID(self, number: int) -> Handle:
        return next(handle for handle in self.handles if handle.number == number)
