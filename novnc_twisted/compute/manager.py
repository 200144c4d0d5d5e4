"""nova-compute, as far as consoles go: the domains of one host, tokens for their consoles, and where those are now."""

import uuid as uuids
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from novnc_twisted.access import fields
from novnc_twisted.access.access_url import access_url
from novnc_twisted.access.connect_info import NOVNC, XVPVNC
from novnc_twisted.access.display import one_line
from novnc_twisted.compute.domain_xml import Domain, Vnc
from novnc_twisted.compute.interfaces import ActiveConsole, Change, DomainEvent, IDriver
from novnc_twisted.compute.listening import complaint
from novnc_twisted.compute.publisher import DomainPublisher
from novnc_twisted.compute.vanished_domains import VanishedDomains
from novnc_twisted.contract.topics import COMPUTE, COMPUTE_BINARY
from novnc_twisted.errors import (
    ConsoleTypeUnavailable,
    ConsoleUnreachable,
    InstanceNotFound,
    InstanceNotRunning,
    Refusal,
)
from novnc_twisted.messaging.domain_locations import DomainLocations
from novnc_twisted.messaging.interfaces import ITransport
from novnc_twisted.messaging.wire import MAX_MESSAGE

_MAX_REPORTED = 10_000
_MAX_LINE = 1000
_PAGE = MAX_MESSAGE * 3 // 4

_log = Logger()


class ComputeManager:
    """Serves the topic ``compute.<host>``.

    :param transport: calls and presence.
    :param driver: the hypervisor's, not started yet: it is started and stopped with this.
    :param host: names this compute host; two live ones must not have the same.
    :param server_proxyclient_address: the name or address at which the proxies reach this host's VNC servers.
    :param server_listen: where VMs should listen; one that listens wider is reported in the log.
    :param novncproxy_base_url: what the token is put into for ``novnc``.
    :param xvpvncproxy_base_url: the same for ``xvpvnc``.
    :param vnc_enabled: False: no console is given.
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
    ) -> None:
        self._transport = transport
        self._driver = driver
        self._host = host
        self._address = server_proxyclient_address
        self._listen = server_listen
        self._base_urls = {NOVNC: novncproxy_base_url, XVPVNC: xvpvncproxy_base_url}
        self._enabled = vnc_enabled
        self._vanished = VanishedDomains(transport, driver, driver.clock)
        self._publisher = DomainPublisher(DomainLocations(transport.store), driver, driver.clock, host)
        self._reported: dict[tuple[str, ...], str] = {}
        self._unpublished: DomainEvent | None = None
        self._withdraw: Callable[[], Deferred[None]] | None = None

    def start(self) -> Deferred[None]:
        """Start the driver and begin to serve; where libvirt is down it goes on trying, and calls fail meanwhile.

        Fails with TopicInUse where another live host has the same name.
        """
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> Deferred[None]:
        """Serve no more, and stop the driver."""
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
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
        if self._unpublished is not None:
            self._publisher.changed(self._unpublished)

    async def _stop(self) -> None:
        withdraw, self._withdraw = self._withdraw, None
        self._vanished.stop()
        self._publisher.stop()
        if withdraw is not None:
            await withdraw()
        await self._driver.stop()

    # --- what is served

    async def list_instances(self, *, after: str = "") -> dict[str, Any]:
        """The domains of this host in the order of their UUIDs, as ``instances``; ``more``: there are others.

        :param after: the last UUID of the page before; a page is as long as one answer may be.
        """
        domains = sorted(await self._driver.list_domains(), key=lambda domain: domain.uuid)
        page: list[dict[str, Any]] = []
        room = _PAGE
        for domain in domains:
            if domain.uuid <= after:
                continue
            instance = self._instance(domain)
            room -= _size(instance)
            if room < 0 and page:
                return {"instances": page, "more": True}
            page.append(instance)
        return {"instances": page, "more": False}

    async def get_instance(self, *, instance_uuid: str) -> dict[str, Any]:
        """One domain.

        :raises InstanceNotFound: this host has no such domain.
        """
        return self._instance(await self._get(instance_uuid))

    async def get_vnc_console(
        self, *, instance_uuid: str, console_type: str, user_id: str | None = None, project_id: str | None = None
    ) -> dict[str, Any]:
        """Draw a token for a domain's console, and tell where that is; nobody knows the token until consoleauth does.

        :raises InstanceNotFound: this host has no such domain.
        :raises InstanceNotRunning: it is stopped, or its port is not known yet.
        :raises ConsoleTypeUnavailable: it has no VNC display, VNC is switched off here, or the type is none of ours.
        :raises ConsoleUnreachable: another running domain claims its address.
        """
        base_url = self._base_urls.get(console_type)
        if base_url is None:
            raise ConsoleTypeUnavailable("not a console type of ours")
        domain, others = await self._meet(instance_uuid)
        self._check_enabled()
        vnc = self._console(domain, others)
        token = str(uuids.uuid4())
        return {
            "token": token,
            "access_url": access_url(base_url, token),
            "console_type": console_type,
            "host": self._address,
            "port": vnc.port or 0,
            "socket": vnc.socket,
            "internal_access_path": None,
            "instance_uuid": domain.uuid,
            "name": domain.name,
            "compute_host": self._host,
        }

    async def validate_console_port(
        self, *, instance_uuid: str, console_type: str, port: int | None = None
    ) -> dict[str, Any]:
        """Where a domain's console is now, and which project's it is: its id, its name (``owners``).

        Refuses as :meth:`get_vnc_console` does.

        :param port: where it was when the token was made, for the log alone: the token names the VM, not a port.
        """
        domain, others = await self._meet(instance_uuid)
        if console_type not in self._base_urls:
            raise ConsoleTypeUnavailable("not a console type of ours")
        vnc = self._console(domain, others)
        if port is not None and vnc.port is not None and port != vnc.port:
            name = one_line(domain.name)
            _log.info("the console of {name} moved from port {old} to {new}", name=name, old=port, new=vnc.port)
        return {
            "host": self._address,
            "port": vnc.port or 0,
            "socket": vnc.socket,
            "name": domain.name,
            "owners": [one for one in (domain.project_id, domain.project_name) if one],
        }

    async def get_vnc_password(self, *, instance_uuid: str) -> dict[str, Any]:
        """The domain's VNC password, for the one connection that needs it; None: it has none.

        :raises ConsoleUnreachable: it is empty, which does not mean that none is needed (CVE-2016-5008).
        """
        uuid = self._uuid(instance_uuid)
        password = await self._driver.get_vnc_password(uuid)
        if password == "":
            raise ConsoleUnreachable(f"server {uuid} has an empty VNC password: set one, or remove the attribute")
        return {"password": password}

    async def claims(self, *, host: str, port: int, socket: str | None = None) -> dict[str, Any]:
        """The UUIDs of the active domains whose console is that address, as ``instances``.

        :param host: the address dialled; another one than this host's own is claimed by nobody here.
        """
        if socket is None and host != self._address:
            return {"instances": []}
        wanted = Vnc(port=fields.port("port", port) or None, socket=fields.optional_text("socket", socket, 255))
        consoles = await self._driver.active_consoles()
        return {"instances": [console.uuid for console in consoles if console.vnc.conflicts_with(wanted)]}

    # --- inside

    def _console(self, domain: Domain, others: Iterable[ActiveConsole]) -> Vnc:
        """Where the console is, if there is one that shows this domain and no other."""
        if not domain.active:
            raise InstanceNotRunning(f"{domain.name} is {domain.state}")
        if domain.migrating:
            raise InstanceNotRunning(f"{domain.name} is on its way to or from another host")
        self._check_enabled()
        vnc = domain.vnc
        if vnc is None:
            raise ConsoleTypeUnavailable(f"{domain.name} has no <graphics type='vnc'>")
        if vnc.socket is None and vnc.nowhere:
            raise ConsoleTypeUnavailable(f"{domain.name} has <listen type='none'/>: its VNC server listens nowhere")
        if vnc.socket is None and vnc.port is None:
            raise InstanceNotRunning(f"{domain.name} runs without a VNC port yet (-1)")
        for rival in others:
            if rival.vnc.conflicts_with(vnc):
                self._report_claim(domain, rival, vnc)
                raise ConsoleUnreachable(f"{domain.name} and {rival.name} claim one VNC address")
        return vnc

    def _check_enabled(self) -> None:
        if not self._enabled:
            raise ConsoleTypeUnavailable("[vnc] enabled is false on this host")

    async def _get(self, instance_uuid: str) -> Domain:
        domain = await self._driver.get_domain(self._uuid(instance_uuid))
        self._seen(domain)
        return domain

    async def _meet(self, instance_uuid: str) -> tuple[Domain, list[ActiveConsole]]:
        """A domain, and the consoles of the others that run."""
        domain, others = await self._driver.domain_with_conflicts(self._uuid(instance_uuid))
        self._seen(domain)
        return domain, others

    def _seen(self, domain: Domain) -> None:
        self._vanished.seen(domain.uuid)
        self._notice(domain)

    def _uuid(self, instance_uuid: str) -> str:
        if not fields.is_uuid(instance_uuid):
            raise InstanceNotFound("not a UUID")
        return instance_uuid.lower()

    def _instance(self, domain: Domain) -> dict[str, Any]:
        return {
            "uuid": domain.uuid,
            "name": domain.name,
            "state": domain.state,
            "power_state": domain.power_state,
            "migrating": domain.migrating,
            "project_id": domain.project_id,
            "project_name": domain.project_name,
            "user_id": domain.user_id,
            "user_name": domain.user_name,
            "vcpus": domain.vcpus,
            "memory_mb": domain.memory_mb,
            "created": domain.created,
            "host": self._host,
        }

    def _changed(self, event: DomainEvent) -> None:
        """The driver tells of a change."""
        self._vanished.changed(event)
        if self._withdraw is None:
            self._unpublished = event  # another host of this name may be alive: its record must stay
        else:
            self._publisher.changed(event)
        if event.change in (Change.STOPPED, Change.MIGRATED, Change.UNDEFINED):
            for key in [key for key in self._reported if event.uuid in key]:
                del self._reported[key]
        if event.change in (Change.CONNECTED, Change.STARTED):
            Deferred.fromCoroutine(self._look(event.uuid)).addErrback(
                lambda failure: _log.failure("a look at the domains failed", failure)
            )

    async def _look(self, uuid: str) -> None:
        """Report what listens wrongly, before somebody needs it."""
        try:
            for domain in [await self._driver.get_domain(uuid)] if uuid else await self._driver.list_domains():
                self._notice(domain)
        except Refusal as refusal:
            _log.debug("no look at the domains: {reason}", reason=str(refusal))

    def _notice(self, domain: Domain) -> None:
        if not domain.active or domain.vnc is None:
            return
        wrong = complaint(domain.vnc, self._listen, self._address)
        if wrong is not None:
            self._report((domain.uuid,), f"the VNC server of {domain.name} ({domain.uuid}) {wrong}")

    def _report_claim(self, domain: Domain, rival: ActiveConsole, vnc: Vnc) -> None:
        """One line for the two of them, whichever is asked for."""
        pair = sorted([(domain.uuid, domain.name), (rival.uuid, rival.name)])
        names = " and ".join(f"{name} ({uuid})" for uuid, name in pair)
        self._report(
            tuple(uuid for uuid, _ in pair),
            f"servers {names} claim one VNC address, {vnc.socket or f'port {vnc.port}'}: both are refused until one of "
            "them is stopped",
        )

    def _report(self, about: tuple[str, ...], line: str) -> None:
        """Say it once for these domains, until one of them stops or something else is wrong."""
        line = one_line(line, _MAX_LINE)
        if self._reported.get(about) == line:
            return
        if len(self._reported) >= _MAX_REPORTED:
            self._reported.clear()
        self._reported[about] = line
        _log.warn("{line}", line=line)


def _size(instance: dict[str, Any]) -> int:
    """About how many bytes of JSON it takes; a character beyond ASCII takes six, or twelve."""
    texts = [value for value in instance.values() if isinstance(value, str)]
    return 300 + sum(len(text) if text.isascii() else 12 * len(text) for text in texts)
