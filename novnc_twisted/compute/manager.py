"""The methods that consolecompute serves on the message bus.  consolecompute takes the place of nova-compute.

The methods concern the domains of one host: lists, consoles, power actions, screenshots and keyboards.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.compute import arguments
from novnc_twisted.compute.console_methods import ConsoleMethods
from novnc_twisted.compute.domain_xml import Domain
from novnc_twisted.compute.instance_pages import instance_of, page
from novnc_twisted.compute.interfaces import Change, DomainEvent, IDriver
from novnc_twisted.compute.keyboards import Keyboards
from novnc_twisted.compute.power import SHUTDOWN_TIMEOUT, PowerActions
from novnc_twisted.compute.publisher import DomainPublisher
from novnc_twisted.compute.reports import DomainReports
from novnc_twisted.compute.screenshots import Screenshots
from novnc_twisted.compute.vanished_domains import VanishedDomains
from novnc_twisted.contract import fields, power
from novnc_twisted.contract.connect_info import NOVNC, XVPVNC
from novnc_twisted.contract.screenshot import FORMATS, picture_width
from novnc_twisted.contract.topics import COMPUTE, COMPUTE_BINARY, RESTART
from novnc_twisted.messaging.domain_record import DomainRecord
from novnc_twisted.messaging.interfaces import ITransport, Method


class ComputeManager:
    """Serves the topic ``compute.<host>``.

    :param transport: the message bus.
    :param driver: the driver of the hypervisor; the manager starts and stops it.
    :param host: the name of this compute host, which no other live host may have.
    :param server_proxyclient_address: the name or address at which the proxies reach the VNC servers of this host.
    :param server_listen: the address on which VMs should listen; a VM that listens on a wrong address is logged.
    :param novncproxy_base_url: the URL to which the token is added for ``novnc``.
    :param xvpvncproxy_base_url: the URL to which the token is added for ``xvpvnc``.
    :param vnc_enabled: whether consoles are available; False: every console is refused.
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
        self._vanished = VanishedDomains(transport, driver, driver.clock)
        self._publisher = DomainPublisher(DomainRecord(transport.store, host), driver, driver.clock)
        self._power = PowerActions(driver, shutdown_timeout)
        self._screenshots = Screenshots(driver)
        self._keyboards = Keyboards(driver)
        self._reports = DomainReports(driver, server_listen, server_proxyclient_address)
        self._consoles = ConsoleMethods(
            driver,
            host=host,
            address=server_proxyclient_address,
            base_urls={NOVNC: novncproxy_base_url, XVPVNC: xvpvncproxy_base_url},
            enabled=vnc_enabled,
            reports=self._reports,
            found=self._found,
        )
        self._withdraw: Callable[[], Deferred[None]] | None = None
        self._prepared = False

    def use_shutdown_timeout(self, seconds: float) -> None:
        """Use another ``shutdown_timeout`` for guests that are asked to shut down from now on."""
        self._power.shutdown_timeout = seconds

    def start(self) -> Deferred[None]:
        """Start the driver and serve.  While libvirt is down, calls fail, and the driver tries again to connect.

        Fails with TopicInUse if another live host has the same name.
        """
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> Deferred[None]:
        """Stop serving, then stop the driver."""
        return Deferred.fromCoroutine(self._stop())

    async def prepare(self) -> None:
        """Start the driver.  May be called before :meth:`start`, while another process still serves this host."""
        if not self._prepared:
            self._prepared = True
            await self._driver.start(self._changed)

    async def _start(self) -> None:
        # Start the driver before serving the topic, since the first calls need the driver.
        await self.prepare()
        self._withdraw = await self._transport.serve(
            COMPUTE.of(self._host),
            {name: self._method(name) for name in COMPUTE.methods},
            binary=COMPUTE_BINARY,
            host=self._host,
            info={"server_proxyclient_address": self._address},
            callers=COMPUTE.methods,
            place=self._address,
            exclusive=True,
            returns_within=RESTART,  # calls wait this long for the next process of this host
        )
        # Started only now: if serve() fails because another live host has this name, the publisher must not overwrite
        # the published domains of that host.
        self._publisher.start()

    async def _stop(self) -> None:
        withdraw, self._withdraw = self._withdraw, None
        self._vanished.stop()
        self._publisher.stop()
        self._power.stop()
        self._keyboards.stop()
        if withdraw is not None:
            await withdraw()
        # Stopped last, because running calls need the driver.
        await self._driver.stop()

    def _method(self, name: str) -> Method:
        method: Method = getattr(self._consoles if hasattr(self._consoles, name) else self, name)
        return method

    # --- methods on the bus

    async def list_instances(self, *, after: str = "") -> dict[str, Any]:
        """Return the next domains of this host in the order of UUIDs, as ``instances``, and whether there are ``more``.

        A page fits into one message.

        :param after: the last UUID of the previous page; empty for the first page.
        """
        return page(await self._driver.list_domains(), self._host, after)

    async def get_instance(self, *, instance_uuid: str) -> dict[str, Any]:
        """Return one domain.

        :raises InstanceNotFound: this host has no such domain.
        """
        domain = await self._driver.get_domain(arguments.instance_uuid(instance_uuid))
        self._found(domain)
        return instance_of(domain, self._host).to_wire()

    async def change_power(self, *, instance_uuid: str, action: str) -> dict[str, Any]:
        """Begin a power action; return a :class:`~novnc_twisted.contract.power.PowerReply` before the action has ended.

        :raises InstanceNotFound: this host has no such domain.
        """
        checked = fields.argument("action", action, fields.one_of(*power.ACTIONS))
        return (await self._power.begin(arguments.instance_uuid(instance_uuid), checked)).to_wire()

    async def get_screenshot(self, *, instance_uuid: str, kind: str, width: int | None = None) -> dict[str, Any]:
        """Return a picture of a domain's screen, as a :class:`~novnc_twisted.contract.screenshot.Screenshot`.

        :param kind: one of :data:`novnc_twisted.contract.screenshot.FORMATS`.
        :param width: the maximum width in pixels; None: the screen's own width.
        :raises InstanceNotFound: this host has no such domain.
        :raises InstanceNotRunning: the domain is stopped.
        """
        checked = fields.argument("kind", kind, fields.one_of(*FORMATS))
        pixels = fields.argument("width", width, picture_width)
        return (await self._screenshots.take(arguments.instance_uuid(instance_uuid), checked, pixels)).to_wire()

    async def begin_keys(self, *, instance_uuid: str) -> dict[str, Any]:
        """Return a ticket for a domain's keyboard, a :class:`~novnc_twisted.contract.typing.TypingTicket`.

        The ticket gives the caller the right to call :meth:`send_keys`, and the secret for encrypting the keys.  While
        another ticket for this domain is in use, the returned ticket has neither id nor secret.

        :raises InstanceNotFound: this host has no such domain.
        :raises InstanceNotRunning: the domain is not running, for example because it is paused.
        """
        return (await self._keyboards.begin(arguments.instance_uuid(instance_uuid))).to_wire()

    async def send_keys(self, *, instance_uuid: str, ticket: str, keys: str) -> dict[str, Any]:
        """Press keys, and wait until all are pressed; return ``{"pressed": false}`` if the ticket is no longer valid.

        :param ticket: the id of the ticket from :meth:`begin_keys`.
        :param keys: encrypted by :func:`novnc_twisted.contract.typing.seal`.
        :raises InstanceNotFound: this host has no such domain.
        :raises InstanceNotRunning: the domain is not running, for example because it is paused.
        """
        return {"pressed": await self._keyboards.press(arguments.instance_uuid(instance_uuid), ticket, keys)}

    # --- internals

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
