"""nova-compute for consoles: the domains of one host, tokens for their consoles, and the addresses of the consoles."""

import uuid as uuids
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from novnc_twisted.access.access_url import access_url
from novnc_twisted.access.display import one_line
from novnc_twisted.compute.console_address import console_address
from novnc_twisted.compute.domain_xml import Domain, Vnc
from novnc_twisted.compute.instance_pages import instance_of, page
from novnc_twisted.compute.interfaces import ActiveConsole, Change, DomainEvent, IDriver
from novnc_twisted.compute.power import SHUTDOWN_TIMEOUT, PowerActions
from novnc_twisted.compute.publisher import DomainPublisher
from novnc_twisted.compute.reports import DomainReports
from novnc_twisted.compute.screenshots import Screenshots
from novnc_twisted.compute.vanished_domains import VanishedDomains
from novnc_twisted.contract import fields, power
from novnc_twisted.contract.connect_info import NOVNC, XVPVNC, ConnectInfo
from novnc_twisted.contract.console import Console
from novnc_twisted.contract.place import Place
from novnc_twisted.contract.screenshot import FORMATS, picture_width
from novnc_twisted.contract.topics import COMPUTE, COMPUTE_BINARY
from novnc_twisted.errors import (
    ConsoleTypeUnavailable,
    ConsoleUnreachable,
    InstanceNotFound,
    InstanceNotRunning,
)
from novnc_twisted.messaging.domain_record import DomainRecord
from novnc_twisted.messaging.interfaces import ITransport

_log = Logger()


class ComputeManager:
    """Serves the topic ``compute.<host>``.

    :param transport: calls and presence.
    :param driver: the driver of the hypervisor, not started yet: the manager starts and stops it.
    :param host: the name of this compute host, which no other live host may have.
    :param server_proxyclient_address: the name or address at which the proxies reach the VNC servers of this host.
    :param server_listen: the address on which VMs should listen; a VM that listens on more addresses is logged.
    :param novncproxy_base_url: the URL to which the token is added for ``novnc``.
    :param xvpvncproxy_base_url: the URL to which the token is added for ``xvpvnc``.
    :param vnc_enabled: False: every console is refused.
    :param shutdown_timeout: seconds after which a guest that was asked to shut down is switched off; 0: never.
    """

    def __init__(
        self,
        transport: ITransport,
        driver: IDriver,
        *,
        host: str,
        server_proxyclient_address: str = "127.0.0.1",
        server_listen: str = "127.0.0.1",
        novncproxy_base_url: str = "http://127.0.0.1:6080/vnc_auto.html",
        xvpvncproxy_base_url: str = "http://127.0.0.1:6081/console",
        vnc_enabled: bool = True,
        shutdown_timeout: float = SHUTDOWN_TIMEOUT,
    ) -> None:
        self._transport = transport
        self._driver = driver
        self._host = host
        self._address = server_proxyclient_address
        self._base_urls = {NOVNC: novncproxy_base_url, XVPVNC: xvpvncproxy_base_url}
        self._enabled = vnc_enabled
        self._vanished = VanishedDomains(transport, driver, driver.clock)
        self._publisher = DomainPublisher(DomainRecord(transport.store, host), driver, driver.clock)
        self._power = PowerActions(driver, shutdown_timeout)
        self._screenshots = Screenshots(driver)
        self._reports = DomainReports(driver, server_listen, server_proxyclient_address)
        self._withdraw: Callable[[], Deferred[None]] | None = None

    def start(self) -> Deferred[None]:
        """Start the driver and serve.  While libvirt is down, the driver keeps trying and calls fail.

        Fails with TopicInUse if another live host has the same name.
        """
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> Deferred[None]:
        """Stop serving, then stop the driver."""
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        # Before serving: the first calls need the driver.
        await self._driver.start(self._changed)
        self._withdraw = await self._transport.serve(
            COMPUTE.of(self._host),
            {name: getattr(self, name) for name in COMPUTE.methods},
            binary=COMPUTE_BINARY,
            host=self._host,
            info={"server_proxyclient_address": self._address},
            callers=COMPUTE.methods,
            place=self._address,
            exclusive=True,
        )
        self._publisher.start()  # not before: another host of this name may be alive, and its record must stay

    async def _stop(self) -> None:
        withdraw, self._withdraw = self._withdraw, None
        self._vanished.stop()
        self._publisher.stop()
        self._power.stop()
        if withdraw is not None:
            await withdraw()
        # Last: calls that are under way need it.
        await self._driver.stop()

    # --- methods on the bus

    async def list_instances(self, *, after: str = "") -> dict[str, Any]:
        """Return the domains of this host by UUID, as ``instances``, and whether there are ``more``.

        :param after: the last UUID of the previous page; a page is as long as one message allows.
        """
        return page(await self._driver.list_domains(), self._host, after)

    async def get_instance(self, *, instance_uuid: str) -> dict[str, Any]:
        """Return one domain.

        :raises InstanceNotFound: this host has no such domain.
        """
        domain = await self._driver.get_domain(_uuid(instance_uuid))
        self._found(domain)
        return instance_of(domain, self._host).to_wire()

    async def get_vnc_console(self, *, instance_uuid: str, console_type: str) -> dict[str, Any]:
        """Create a token for the console of a domain; return it as a :class:`~novnc_twisted.contract.Console`.

        The token opens nothing until consoleauth has authorised it.

        :raises InstanceNotFound: this host has no such domain.
        :raises InstanceNotRunning: the domain is stopped, or its port is not known yet.
        :raises ConsoleTypeUnavailable: it has no VNC display, VNC is disabled here, or the console type is unknown.
        :raises ConsoleUnreachable: another running domain claims its address.
        """
        base_url = self._base_urls.get(console_type)
        if base_url is None:
            raise ConsoleTypeUnavailable("unknown console type")
        domain, others = await self._read(instance_uuid)
        # After the domain was read: a server that does not exist is reported as such, whatever the options say.
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

        Refuses as :meth:`get_vnc_console` does.

        :param port: the port when the token was made; it is only logged, because the token names the VM, not a port.
        """
        domain, others = await self._read(instance_uuid)
        if console_type not in self._base_urls:
            raise ConsoleTypeUnavailable("unknown console type")
        vnc = self._console(domain, others)
        if port is not None and vnc.port is not None and port != vnc.port:
            name = one_line(domain.name)
            _log.info("the console of {name} moved from port {old} to {new}", name=name, old=port, new=vnc.port)
        owners = tuple(one for one in (domain.project_id, domain.project_name) if one)
        place = Place(host=self._address, port=vnc.port or 0, socket=vnc.socket, name=domain.name, owners=owners)
        return place.to_wire()

    async def get_vnc_password(self, *, instance_uuid: str) -> dict[str, Any]:
        """Return the VNC password of a domain for one connection; None if the domain has no password.

        :raises ConsoleUnreachable: the password is empty, which does not mean that none is needed (CVE-2016-5008).
        """
        uuid = _uuid(instance_uuid)
        password = await self._driver.get_vnc_password(uuid)
        if password == "":
            raise ConsoleUnreachable(f"server {uuid} has an empty VNC password: set one, or remove the attribute")
        return {"password": password}

    async def change_power(self, *, instance_uuid: str, action: str) -> dict[str, Any]:
        """Begin a power action; return a :class:`~novnc_twisted.contract.power.PowerReply` at once.

        :raises InstanceNotFound: this host has no such domain.
        """
        checked = fields.argument("action", action, fields.one_of(*power.ACTIONS))
        return (await self._power.begin(_uuid(instance_uuid), checked)).to_wire()

    async def get_screenshot(self, *, instance_uuid: str, kind: str, width: int | None = None) -> dict[str, Any]:
        """Return a picture of a domain's screen, as a :class:`~novnc_twisted.contract.screenshot.Screenshot`.

        :param kind: one of :data:`novnc_twisted.contract.screenshot.FORMATS`.
        :param width: the width in pixels, at most; None: the screen's own.
        :raises InstanceNotFound: this host has no such domain.
        :raises InstanceNotRunning: the domain is stopped.
        """
        checked = fields.argument("kind", kind, fields.one_of(*FORMATS))
        pixels = fields.argument("width", width, picture_width)
        return (await self._screenshots.take(_uuid(instance_uuid), checked, pixels)).to_wire()

    async def get_instances_at_address(self, *, host: str, port: int, socket: str | None = None) -> dict[str, Any]:
        """Return the UUIDs of the active domains whose console has this address, as ``instances``.

        :param host: the address to which the proxies connect; only this host's own address can match.
        """
        # A host answers only for its own address, so that it cannot block the consoles of another one.
        if socket is None and host != self._address:
            return {"instances": []}
        wanted = Vnc(
            port=fields.argument("port", port, fields.port) or None,
            socket=fields.argument("socket", socket, fields.optional(fields.short_text)),
        )
        consoles = await self._driver.active_consoles()
        return {"instances": [console.uuid for console in consoles if console.vnc.conflicts_with(wanted)]}

    # --- internals

    async def _read(self, instance_uuid: str) -> tuple[Domain, list[ActiveConsole]]:
        """Read a domain, and the consoles of other running domains at its address."""
        domain, others = await self._driver.domain_with_conflicts(_uuid(instance_uuid))
        self._found(domain)
        return domain, others

    def _console(self, domain: Domain, others: Iterable[ActiveConsole]) -> Vnc:
        """Return the address of a domain's console, which no other running domain may share."""
        # Check this first: consoleauth takes ConsoleTypeUnavailable and ConsoleUnreachable to mean that it runs here.
        if not domain.active:
            raise InstanceNotRunning(f"{domain.name} is {domain.state}")
        if domain.migrating:
            raise InstanceNotRunning(f"{domain.name} is on its way to or from another host")
        self._check_enabled()
        vnc = console_address(domain)
        for other in others:
            if other.vnc.conflicts_with(vnc):
                self._reports.conflict(domain, other, vnc)
                raise ConsoleUnreachable(f"{domain.name} and {other.name} claim the same VNC address")
        return vnc

    def _check_enabled(self) -> None:
        if not self._enabled:
            raise ConsoleTypeUnavailable("[vnc] enabled is false on this host")

    def _found(self, domain: Domain) -> None:
        self._vanished.seen(domain.uuid)
        self._reports.check(domain)

    def _changed(self, event: DomainEvent) -> None:
        """Handle an event of the driver."""
        self._vanished.changed(event)
        self._publisher.changed(event)
        self._power.changed(event)
        if event.change in (Change.STOPPED, Change.MIGRATED, Change.UNDEFINED):
            self._reports.forget(event.uuid)
        if event.change in (Change.CONNECTED, Change.STARTED):
            self._reports.check_later(event.uuid)


def _uuid(instance_uuid: str) -> str:
    if not fields.is_uuid(instance_uuid):
        raise InstanceNotFound("not a UUID")
    return instance_uuid.lower()
