"""The methods of a compute host about consoles: tokens, addresses and VNC passwords."""

import uuid as uuids
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.logger import Logger

from novnc_twisted.access.access_url import access_url
from novnc_twisted.access.display import one_line
from novnc_twisted.compute import arguments
from novnc_twisted.compute.console_address import console_address
from novnc_twisted.compute.domain_xml import Domain, Vnc
from novnc_twisted.compute.interfaces import ActiveConsole, IDriver
from novnc_twisted.compute.reports import DomainReports
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.console import Console
from novnc_twisted.contract.place import Place
from novnc_twisted.errors import ConsoleTypeUnavailable, ConsoleUnreachable, InstanceNotRunning

_log = Logger()


class ConsoleMethods:
    """The methods about consoles.  :class:`.manager.ComputeManager` serves them on the bus, besides its own methods.

    :param host: the name of this compute host.
    :param address: the name or address at which the proxies reach the VNC servers of this host.
    :param base_urls: for each console type, the URL to which the token is added.
    :param enabled: whether consoles may be opened; False: every console is refused.
    :param reports: logs domains whose addresses conflict.
    :param found: called with each domain that was read.
    """

    def __init__(
        self,
        driver: IDriver,
        *,
        host: str,
        address: str,
        base_urls: Mapping[str, str],
        enabled: bool,
        reports: DomainReports,
        found: Callable[[Domain], None],
    ) -> None:
        self._driver = driver
        self._host = host
        self._address = address
        self._base_urls = base_urls
        self._enabled = enabled
        self._reports = reports
        self._found = found

    async def get_vnc_console(self, *, instance_uuid: str, console_type: str) -> dict[str, Any]:
        """Return a new token for the console of a domain, in a :class:`~novnc_twisted.contract.Console`.

        The token opens nothing until consoleauth has authorized it.

        :raises InstanceNotFound: this host has no such domain.
        :raises InstanceNotRunning: the domain is stopped, a migration has paused it, or its VNC port is not known yet.
        :raises ConsoleTypeUnavailable: the domain has no VNC server that listens, ``[vnc] enabled`` is false on this
            host, or the console type is unknown.
        :raises ConsoleUnreachable: another running domain claims the same VNC address.
        """
        domain, others = await self._read(instance_uuid)
        # The console type and ``enabled`` are checked after the domain was read, so that a missing server is always
        # reported as missing.  They are checked before the server's state, because starting the server would not remove
        # these two errors.
        base_url = self._base_url(console_type)
        self._check_enabled()
        vnc = self._console(domain, others)
        token = str(uuids.uuid4())
        info = ConnectInfo(
            host=self._address,
            port=vnc.port or 0,
            socket=vnc.socket,
            instance_uuid=domain.uuid,
            name=domain.name,
            console_type=console_type,
            compute_host=self._host,
        )
        return Console(token=token, access_url=access_url(base_url, token), connect_info=info).to_wire()

    async def validate_console_port(
        self, *, instance_uuid: str, console_type: str, port: int | None = None
    ) -> dict[str, Any]:
        """Return the current address of a domain's console, as a :class:`~novnc_twisted.contract.Place`.

        Raises the same errors as :meth:`get_vnc_console`.

        :param port: the console's port when the token was made; None: it is not compared.  If the port has changed,
            this is only logged: the token stays valid, because it is for a VM, not for a port.
        """
        port = fields.argument("port", port, fields.optional(fields.port))
        domain, others = await self._read(instance_uuid)
        vnc = self._console(domain, others)
        self._base_url(console_type)
        if port is not None and vnc.port is not None and port != vnc.port:
            name = one_line(domain.name)
            _log.info("the console of {name} moved from port {old} to {new}", name=name, old=port, new=vnc.port)
        owners = tuple(one for one in (domain.project_id, domain.project_name) if one)
        place = Place(
            host=self._address,
            port=vnc.port or 0,
            socket=vnc.socket,
            name=domain.name,
            owners=owners,
            state=domain.state,
        )
        return place.to_wire()

    async def get_vnc_password(self, *, instance_uuid: str) -> dict[str, Any]:
        """Return the VNC password of a domain as ``password``; None if the domain has no password.

        :raises InstanceNotFound: this host has no such domain.
        :raises ConsoleUnreachable: the password is empty.  A domain with an empty password permits no VNC access
            (CVE-2016-5008), unlike a domain without a password.
        """
        uuid = arguments.instance_uuid(instance_uuid)
        password = await self._driver.get_vnc_password(uuid)
        if password == "":
            raise ConsoleUnreachable(
                f"server {uuid} has an empty VNC password: set one, or remove the attribute passwd of <graphics>"
            )
        return {"password": password}

    async def get_instances_at_address(self, *, host: str, port: int, socket: str | None = None) -> dict[str, Any]:
        """Return the UUIDs of the active domains whose console has this address, as ``instances``.

        :param host: the address to which the proxies connect.  For a TCP port, only this host's own address can match.
        :param port: the TCP port; 0 for a unix socket.
        :param socket: the path of the unix socket, or None.
        """
        # Another host may have its own console at the same port.  This host must not return a domain for such an
        # address, because consoleauth would then refuse the console of the other host.
        if socket is None and host != self._address:
            return {"instances": []}
        wanted = Vnc(
            port=fields.argument("port", port, fields.port) or None,
            socket=fields.argument("socket", socket, fields.optional(fields.short_text)),
        )
        consoles = await self._driver.active_consoles()
        return {"instances": [console.uuid for console in consoles if console.vnc.conflicts_with(wanted)]}

    async def _read(self, instance_uuid: str) -> tuple[Domain, list[ActiveConsole]]:
        """Read a domain, and the consoles of other running domains at its address."""
        domain, others = await self._driver.domain_with_conflicts(arguments.instance_uuid(instance_uuid))
        self._found(domain)
        return domain, others

    def _console(self, domain: Domain, others: Iterable[ActiveConsole]) -> Vnc:
        """Return the address of a domain's console.

        :raises ConsoleUnreachable: another running domain claims the same address.  Other errors: see
            :meth:`get_vnc_console`.
        """
        # The state is checked first, because validate_console_port must raise ConsoleTypeUnavailable and
        # ConsoleUnreachable for active domains only: consoleauth concludes from these errors that the server runs here.
        if not domain.active:
            raise InstanceNotRunning(f"{domain.name} is {domain.state}")
        if domain.migrating:
            raise InstanceNotRunning(f"{domain.name} is moving to or from another host; try again in a moment")
        self._check_enabled()
        vnc = console_address(domain)
        for other in others:
            if other.vnc.conflicts_with(vnc):
                self._reports.conflict(domain, other, vnc)
                raise ConsoleUnreachable(f"{domain.name} and {other.name} claim the same VNC address")
        return vnc

    def _base_url(self, console_type: Any) -> str:
        base_url = self._base_urls.get(console_type) if isinstance(console_type, str) else None
        if base_url is None:
            raise ConsoleTypeUnavailable("unknown console type")
        return base_url

    def _check_enabled(self) -> None:
        if not self._enabled:
            raise ConsoleTypeUnavailable("[vnc] enabled is false on this host")
