"""Makes the audit trail of a process from the options of ``[audit]``."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.folders import is_folder

if TYPE_CHECKING:
    from novnc_twisted.audit import AuditTrail


def make_trail(command: str, conf: Any, reactor: Any) -> "AuditTrail | None":
    """Make the audit trail, without opening it; None if the options ``file`` and ``syslog`` are both unset."""
    if not (conf.audit.file or conf.audit.syslog):
        return None
    # Imported only here, because most processes have no audit trail.
    from novnc_twisted.audit import AuditFile, AuditTrail, Syslog

    return AuditTrail(
        reactor,
        file=AuditFile(conf.audit.file) if conf.audit.file else None,
        syslog=Syslog(socket.gethostname(), command) if conf.audit.syslog else None,
        origin={"service": command, "host": conf.host},
    )


async def open_trail(trail: "AuditTrail") -> None:
    """Open the file and the connection to syslog.

    Called when the reactor runs.  By then, a twistd that was started as root has changed to the user of the service, so
    a new file belongs to this user.

    If the syslog daemon does not run yet, a log line says so, and the service starts nevertheless.

    :raises Unusable: the file cannot be opened.
    """
    try:
        trail.open()
    except OSError as error:
        raise Unusable(f"[audit] file: can't open it: {error.strerror}") from None


def check_file(conf: Any) -> None:
    """Check the path of the audit trail's file, without creating the file.

    :raises Unusable: the path is a folder, is in a folder that does not exist, or cannot be examined.
    """
    if not conf.audit.file:
        return
    path = Path(conf.audit.file)
    if is_folder(path, "[audit] file"):
        raise Unusable(f"[audit] file: {path} is a folder")
    if not is_folder(path.parent, "[audit] file"):
        raise Unusable(f"[audit] file: the folder {path.parent} does not exist")
