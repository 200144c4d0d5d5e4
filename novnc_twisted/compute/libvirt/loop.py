"""Runs libvirt's event loop in its own thread, and opens connections with keepalive."""

import threading
from typing import Any

import libvirt
from twisted.logger import Logger

_KEEPALIVE_INTERVAL, _KEEPALIVE_COUNT = 5, 3
"""Seconds between keepalive messages, and how many of them may stay unanswered.

If libvirtd sends nothing, libvirt sends these three messages after 5, 10 and 15 s, and closes the connection after
20 s.  This ends a hanging call.
"""

_lock = threading.Lock()
_started = False
_log = Logger()


def ensure_event_loop() -> None:
    """Start libvirt's default event loop in a thread, unless this process has already started it.

    The loop delivers events and drives keepalive.  This function also keeps libvirt from printing its errors to stderr.
    """
    global _started
    with _lock:
        if _started:
            return
        _started = True
        libvirt.registerErrorHandler(lambda *_: None, None)
        # Called before the first connection is opened: libvirt uses the loop only for connections opened afterwards.
        libvirt.virEventRegisterDefaultImpl()
        # A daemon thread, because libvirt's loop cannot be ended, and must not keep the process from ending.
        threading.Thread(target=_run, name="libvirt-events", daemon=True).start()


def _run() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError as error:  # pragma: no cover
            # poll() failed, so the loop cannot continue, and delivers no more events.
            _log.error("libvirt's event loop failed: {reason}", reason=str(error))
            return


def open_connection(uri: str) -> Any:
    """Open a read-write connection with keepalive; this blocks while libvirtd hangs."""
    ensure_event_loop()
    connection = libvirt.open(uri)
    try:
        connection.setKeepAlive(_KEEPALIVE_INTERVAL, _KEEPALIVE_COUNT)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:  # the test driver has no keepalive
            close(connection)
            raise
    return connection


def unusable(connection: Any) -> bool:
    """Return whether a connection is dead."""
    try:
        return not connection.isAlive()
    except libvirt.libvirtError:
        return True


def close(connection: Any) -> None:
    """Close a connection.  Call this in the thread that uses the connection."""
    try:
        connection.close()
    except libvirt.libvirtError as error:
        _log.debug("closing a libvirt connection: {reason}", reason=str(error))
