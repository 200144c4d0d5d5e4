"""Receives libvirt's events on a connection of its own, and reconnects when this connection is lost."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import libvirt
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.logger import Logger

from novnc_twisted.compute.interfaces import Change, DomainEvent
from novnc_twisted.compute.libvirt.errors import reason_of
from novnc_twisted.compute.libvirt.health import EVENTS, Health
from novnc_twisted.compute.libvirt.loop import close, open_connection, unusable

_BACK_OFF = (0.2, 0.5, 1.0)
"""Seconds between attempts to connect; the last value applies to all further attempts."""

_SILENCE = 10.0
"""Seconds after which a libvirtd that accepts a connection but does not answer counts as unreachable."""

_LOOK = 5.0
"""Seconds between two checks of the connection.

The checks are needed, because libvirt does not always report the end of the connection.
"""

_EVENTS = (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE)

_log = Logger()


class Watch:
    """Receives libvirt's events, which arrive in libvirt's thread, and passes them on in the reactor.

    :param reactor: IReactorTime and IReactorFromThreads.
    :param listener: called in the reactor, with the events of domains.
    :param watched: called in this object's own thread.  The argument is True if libvirt reports every change from now
        on, else False.
    :param changed: called in libvirt's thread, before the listener, with the UUID of a domain that changed.
    :param health: is notified, in the reactor, whether libvirt reports events.
    """

    def __init__(
        self,
        reactor: Any,
        uri: str,
        listener: Callable[[DomainEvent], None],
        *,
        watched: Callable[[bool], None],
        changed: Callable[[str], None],
        health: Health,
    ) -> None:
        self._reactor: IReactorFromThreads = reactor
        self._clock: IReactorTime = reactor
        self._uri = uri
        self._listener = listener
        self._watched = watched
        self._changed = changed
        self._health = health
        self._wake = threading.Event()
        self._stopping = False
        self._silence: IDelayedCall | None = None

    def start(self) -> None:
        """Start to connect."""
        threading.Thread(target=self._watch, name="libvirt-watch", daemon=True).start()

    def stop(self) -> None:
        """Stop passing events on."""
        self._stopping = True
        self._end_silence()
        self._wake.set()

    def _pass_on(self, event: DomainEvent) -> None:
        """Pass an event to the listener, in the reactor."""
        if not self._stopping:
            self._listener(event)

    def _watch(self) -> None:
        failures = 0
        while True:
            self._wake.clear()
            if self._stopping:
                return  # stop() may have set _wake just before it was cleared here
            self._reactor.callFromThread(self._begin_silence)
            try:
                connection = open_connection(self._uri)
            except libvirt.libvirtError as error:
                self._reactor.callFromThread(self._unreachable, reason_of(error))
                self._wake.wait(_BACK_OFF[min(failures, len(_BACK_OFF) - 1)])
                failures += 1
                continue
            try:
                registered = self._register(connection)
                failures = 0
                # Called before CONNECTED is reported, because the domains are listed then, and a later call would make
                # these readings stale.
                self._watched(len(registered) == len(_EVENTS))
                self._reactor.callFromThread(self._connected)
                while not self._wake.wait(_LOOK) and not unusable(connection):
                    self._reactor.callFromThread(self._well)
                # Called before DISCONNECTED is reported: cached domains must no longer count as current.
                self._watched(False)
                self._reactor.callFromThread(self._lost)
                self._unregister(connection, registered)
            except libvirt.libvirtError as error:
                self._reactor.callFromThread(self._unreachable, reason_of(error))
                self._wake.wait(_BACK_OFF[min(failures, len(_BACK_OFF) - 1)])
                failures += 1
            finally:
                close(connection)

    def _register(self, connection: Any) -> list[int]:
        """Register for events, and return the numbers of the registrations.

        Old versions of libvirt have no events for metadata.  With such a version, the driver reads the XML of every
        domain each time that it lists the domains.
        """
        try:
            connection.registerCloseCallback(self._closed, None)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:  # a driver without close callbacks
                raise
        lifecycle, metadata = _EVENTS
        registered = [int(connection.domainEventRegisterAny(None, lifecycle, self._happened, None))]
        try:
            registered.append(int(connection.domainEventRegisterAny(None, metadata, self._described, None)))
        except libvirt.libvirtError as error:
            if unusable(connection):
                raise
            _log.info("libvirt reports no changes of metadata: {reason}", reason=reason_of(error))
        return registered

    def _unregister(self, connection: Any, registered: list[int]) -> None:
        """Undo the registrations, so that libvirt frees the connection.  On a dead connection, these calls fail."""
        undo: list[Callable[[], Any]] = [partial(connection.domainEventDeregisterAny, number) for number in registered]
        for step in (*undo, connection.unregisterCloseCallback):
            try:
                step()
            except libvirt.libvirtError as error:
                _log.debug("a step of disconnecting from libvirt failed: {reason}", reason=reason_of(error))

    def _closed(self, _connection: Any, _reason: int, _opaque: Any) -> None:
        """Handle the end of the connection, in libvirt's thread."""
        self._wake.set()

    def _happened(self, _connection: Any, domain: Any, event: int, detail: int, _opaque: Any) -> None:
        """Handle a lifecycle event, in libvirt's thread."""
        self._notify(change_of(event, detail), domain)

    def _described(self, _connection: Any, domain: Any, _kind: int, _namespace: str | None, _opaque: Any) -> None:
        """Handle a change of a domain's metadata, in libvirt's thread."""
        self._notify(Change.DESCRIBED, domain)

    def _notify(self, change: Change | None, domain: Any) -> None:
        uuid = domain.UUIDString()
        # Called in this thread, because the driver may list the domains before the reactor gets the event.
        self._changed(uuid)
        if change is not None and not self._stopping:
            self._reactor.callFromThread(self._pass_on, DomainEvent(change, uuid))

    def _begin_silence(self) -> None:
        self._end_silence()
        if not self._stopping:
            self._silence = self._clock.callLater(_SILENCE, self._unreachable, "it does not answer")

    def _end_silence(self) -> None:
        if self._silence is not None and self._silence.active():
            self._silence.cancel()

    def _unreachable(self, reason: str) -> None:
        self._end_silence()
        if not self._stopping:
            self._health.trouble(EVENTS, reason)

    def _connected(self) -> None:
        self._end_silence()
        if not self._stopping:
            _log.info("connected to libvirt at {uri}", uri=self._uri)
        self._well()

    def _well(self) -> None:
        if not self._stopping:
            self._health.well(EVENTS)

    def _lost(self) -> None:
        if not self._stopping:
            self._health.lost(EVENTS)


def change_of(event: int, detail: int) -> Change | None:
    """Return the :class:`Change` for a lifecycle event; None: the listener does not get the event."""
    if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
        return Change.MIGRATED if detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED else Change.STOPPED
    if event == libvirt.VIR_DOMAIN_EVENT_UNDEFINED:
        return None if detail == libvirt.VIR_DOMAIN_EVENT_UNDEFINED_RENAMED else Change.UNDEFINED
    return {
        libvirt.VIR_DOMAIN_EVENT_DEFINED: Change.DEFINED,
        libvirt.VIR_DOMAIN_EVENT_STARTED: Change.STARTED,
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED: Change.STATE,
        libvirt.VIR_DOMAIN_EVENT_RESUMED: Change.STATE,
        libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: Change.STATE,
        libvirt.VIR_DOMAIN_EVENT_CRASHED: Change.STATE,
    }.get(event)
