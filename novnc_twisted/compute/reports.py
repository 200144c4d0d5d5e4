"""Logs wrong settings of VNC servers."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from novnc_twisted.access.display import one_line
from novnc_twisted.compute.domain_xml import Domain, Vnc
from novnc_twisted.compute.interfaces import ActiveConsole, IDriver
from novnc_twisted.compute.listening import complaint
from novnc_twisted.errors import Refusal

_MAX_REPORTED = 10_000  # with so many faults, all are forgotten, so that they do not fill the memory
_MAX_LINE = 1000

_log = Logger()


class DomainReports:
    """Reports wrong listen addresses, and VNC addresses that two domains share.

    Usually, a fault is reported again only if it changes, or after one of the domains with the fault has stopped.

    :param server_listen: the address on which VNC servers should listen.
    :param proxyclient_address: the address to which the proxies connect.
    """

    def __init__(self, driver: IDriver, server_listen: str, proxyclient_address: str) -> None:
        self._driver = driver
        self._listen = server_listen
        self._address = proxyclient_address
        self._reported: dict[tuple[str, ...], str] = {}

    def check(self, domain: Domain) -> None:
        """Report the domain if its VNC server listens on a wrong address."""
        if not domain.active or domain.vnc is None:
            return
        wrong = complaint(domain.vnc, self._listen, self._address)
        if wrong is not None:
            self._report((domain.uuid,), f"the VNC server of {domain.name} ({domain.uuid}) {wrong}")

    def check_later(self, uuid: str) -> None:
        """Read and check a domain in the background; all domains if ``uuid`` is empty."""
        Deferred.fromCoroutine(self._read(uuid)).addErrback(
            lambda failure: _log.failure("the domains could not be checked", failure)
        )

    def conflict(self, domain: Domain, other: ActiveConsole, vnc: Vnc) -> None:
        """Report that two running domains claim the same VNC address."""
        # Sorted, so that the line is the same for (a, b) and (b, a), and is logged once.
        pair = sorted([(domain.uuid, domain.name), (other.uuid, other.name)])
        names = " and ".join(f"{name} ({uuid})" for uuid, name in pair)
        self._report(
            tuple(uuid for uuid, _ in pair),
            f"servers {names} claim the same VNC address, {vnc.socket or f'port {vnc.port}'}: the consoles of both are "
            "refused until one of the servers is stopped",
        )

    def forget(self, uuid: str) -> None:
        """Forget the faults of a domain that has stopped, so that they are reported again after its next start."""
        for about in [about for about in self._reported if uuid in about]:
            del self._reported[about]

    async def _read(self, uuid: str) -> None:
        try:
            for domain in [await self._driver.get_domain(uuid)] if uuid else await self._driver.list_domains():
                self.check(domain)
        except Refusal as refusal:
            _log.debug("the domains could not be checked: {reason}", reason=str(refusal))

    def _report(self, about: tuple[str, ...], line: str) -> None:
        line = one_line(line, _MAX_LINE)
        if self._reported.get(about) == line:
            return
        if len(self._reported) >= _MAX_REPORTED:
            self._reported.clear()
        self._reported[about] = line
        _log.warn("{line}", line=line)
