"""Reads libvirt's domains, and caches what it read from their XML.

* :meth:`DomainReader.fresh`, for access rights and for opening a console, reads the XML each time.
* :meth:`DomainReader.recent`, for the console addresses of active domains, reads the XML only if it may have changed.
* :meth:`DomainReader.all`, for lists, reads the names and states of all domains each time.  It reads XML that may have
  changed, or whose last reading is older than :data:`MAX_AGE`.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import libvirt

from novnc_twisted.compute.domain_xml import Domain, DomainXMLError, display_name, read_domain
from novnc_twisted.compute.libvirt.errors import reason_of
from novnc_twisted.compute.libvirt.loop import unusable
from novnc_twisted.compute.states import is_migrating, state_of

MAX_AGE = 2.0
"""Seconds after which a list reads a domain again even without an event, because some changes cause no event."""

MAX_AGED = 100
"""Maximum number of domains that one list reads again because of their age, beginning with the oldest readings."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A domain whose XML cannot be used, and the reason."""

    uuid: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Read:
    """A domain as read from its XML.

    :ivar number: libvirt's id, which is new with every start; -1: the domain was stopped.
    :ivar digest: SHA-256 of the XML.
    :ivar changes: the reader's count of changes before the XML was read.
    :ivar at: when the XML was read, in monotonic seconds.
    """

    number: int
    name: str
    digest: bytes
    domain: Domain
    changes: int
    at: float


class DomainReader:
    """Reads and caches domains; safe to use from several threads.

    :param now: returns monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._reads: dict[str, _Read] = {}
        self._changes = 1
        self._changed: dict[str, int] = {}
        self._all_changed = 1
        self._watched = False

    def watched(self, watched: bool) -> None:
        """Note whether libvirt reports each change from now on; each domain is read again when it is next needed."""
        self._watched = watched
        self.distrust()

    def distrust(self) -> None:
        """Note that changes may have been missed: each domain is read again when it is next needed."""
        with self._lock:
            # A count instead of a flag: a change that comes while XML is being read must make the result stale.
            self._changes += 1
            self._all_changed = self._changes
            self._changed.clear()

    def changed(self, uuid: str) -> None:
        """Note that an event named this domain: it is read again when it is next needed."""
        with self._lock:
            self._changes += 1
            self._changed[uuid] = self._changes

    def fresh(self, handle: Any) -> Domain:
        """Read a domain's XML and state now, and return the domain.

        :raises DomainXMLError: the XML cannot be used; the text names the domain.
        """
        try:
            domain = self._read(handle).domain
        except libvirt.libvirtError:
            # Passed on unchanged, so that the connection pool can distinguish a missing domain from a dead connection.
            raise
        except Exception as error:
            raise DomainXMLError(f"{handle.UUIDString()}: {_why(error)}") from None
        state, reason = handle.state()[:2]
        return _with_state(domain, state, reason)

    def recent(self, handle: Any) -> Domain:
        """Return a domain without its state.  The XML is read only if it may have changed since it was last read.

        :raises DomainXMLError: the XML cannot be used.
        """
        # No lock is needed, because one look-up in a dictionary is atomic.
        known = self._reads.get(handle.UUIDString())
        return known.domain if known is not None and self._is_valid(known, handle) else self._read(handle).domain

    def all(self, connection: Any) -> tuple[list[Domain], list[Unreadable]]:
        """Return a list of all domains, stopped ones as well, and a list of those that cannot be read.

        A domain that cannot be read is in both lists; in the first one, it has only its name, UUID and state.
        """
        listed = _states(connection)
        present = {handle.UUIDString(): (handle, state, reason) for handle, state, reason in listed}
        aged = self._aged(present)
        found: list[Domain] = []
        unreadable: list[Unreadable] = []
        for uuid, (handle, state, reason) in present.items():
            known = self._reads.get(uuid)
            try:
                if known is None or uuid in aged or not self._is_valid(known, handle):
                    known = self._read(handle)
                domain = known.domain
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                    continue  # the domain no longer exists
                # With a dead connection, the whole list must fail: otherwise all domains would be reported as
                # unreadable.
                if unusable(connection):
                    raise
                domain = _outline(handle)
                unreadable.append(Unreadable(uuid, domain.name, reason_of(error)))
            except Exception as error:
                domain = _outline(handle)
                unreadable.append(Unreadable(uuid, domain.name, _why(error)))
            found.append(_with_state(domain, state, reason))
        return found, unreadable

    def _read(self, handle: Any) -> _Read:
        # The count is taken before the XML is read, so that a change in the meantime makes the result stale at once.
        changes, uuid, number = self._changes, handle.UUIDString(), handle.ID()
        xml = handle.XMLDesc(0)
        # A digest is enough to notice a change; the XML of thousands of domains would take megabytes.
        digest = sha256(xml.encode("utf-8", "surrogatepass")).digest()
        known = self._reads.get(uuid)
        same = known is not None and known.digest == digest
        domain = known.domain if known is not None and same else read_domain(xml)
        read = self._reads[uuid] = _Read(number, handle.name(), digest, domain, changes, self._now())
        return read

    def _is_valid(self, known: _Read, handle: Any) -> bool:
        return (
            self._watched
            and known.number == handle.ID()
            and known.changes >= self._all_changed
            and known.changes >= self._changed.get(handle.UUIDString(), 0)
            and known.name == handle.name()
        )

    def _aged(self, present: dict[str, Any]) -> set[str]:
        """Forget domains that no longer exist; return at most MAX_AGED UUIDs of domains whose readings are too old."""
        with self._lock:
            for uuid in self._reads.keys() - present.keys():
                del self._reads[uuid]
            for uuid in self._changed.keys() - present.keys():
                del self._changed[uuid]
            oldest = self._now() - MAX_AGE
            reads = list(self._reads.items())  # in one step: other threads add to _reads without the lock
            aged = sorted((read.at, uuid) for uuid, read in reads if read.at <= oldest)
        return {uuid for _, uuid in aged[:MAX_AGED]}


def _why(error: Exception) -> str:
    """Return why XML cannot be used, without quoting it."""
    return str(error) if isinstance(error, DomainXMLError) else type(error).__name__


def _states(connection: Any) -> list[tuple[Any, int, int]]:
    """Return each domain with its state and the reason for the state; with one call, if libvirt supports that."""
    try:
        stats = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0)
        return [(handle, state.get("state.state", 0), state.get("state.reason", 0)) for handle, state in stats]
    except libvirt.libvirtError:
        if unusable(connection):
            raise
    # getAllDomainStats() fails with an old driver, and with more domains than fit into one answer (4096).
    found = []
    for handle in connection.listAllDomains(0):
        try:
            state, reason = handle.state()[:2]
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
        else:
            found.append((handle, state, reason))
    return found


def _outline(handle: Any) -> Domain:
    return Domain(uuid=handle.UUIDString(), name=display_name(handle.name()), active=handle.ID() >= 0)


def _with_state(domain: Domain, state: int, reason: int) -> Domain:
    name, power_state = state_of(state, reason)
    return replace(domain, state=name, power_state=power_state, migrating=is_migrating(state, reason))
