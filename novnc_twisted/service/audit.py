"""The audit trail of a process, from the options of ``[audit]``."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from novnc_twisted.service.exits import Unusable

if TYPE_CHECKING:
    from novnc_twisted.audit import AuditTrail


def make_trail(command: str, conf: Any, reactor: Any) -> "AuditTrail | None":
    """Make the audit trail; None, and nothing is imported, if no option asks for it.  Nothing is opened yet."""
    if not (conf.audit.file or conf.audit.syslog):
        return None
    from novnc_twisted.audit import AuditFile, AuditTrail, Syslog

    return AuditTrail(
        reactor,
        file=AuditFile(conf.audit.file) if conf.audit.file else None,
        syslog=Syslog(socket.gethostname(), command) if conf.audit.syslog else None,
        origin={"service": command, "host": conf.host},
    )


async def open_trail(trail: "AuditTrail") -> None:
    """Open the file and the connection to syslog, as the user of the service.

    :raises Unusable: the file can't be opened.  A syslog daemon that is not there yet is only logged.
    """
    try:
        trail.open()
    except OSError as error:
        raise Unusable(f"[audit] file: can't open it: {error.strerror}") from None


def check_file(conf: Any) -> None:
    """Check that the file of the audit trail may be one, without creating it.

    :raises Unusable: its folder does not exist, or it is a folder itself.
    """
    if not conf.audit.file:
        return
    path = Path(conf.audit.file)
    if path.is_dir():
        raise Unusable(f"[audit] file: {path} is a folder")
    if not path.parent.is_dir():
        raise Unusable(f"[audit] file: the folder {path.parent} does not exist")
