"""Where a console is: the answer to ``validate_console_port``."""

from typing import Annotated

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import LOCAL, Record, record


@record
class Place(Record):
    """The address of an active server's console.

    ``host``, ``port`` and ``socket`` have the same meaning as in ConnectInfo.

    :ivar name: the name of the libvirt domain.
    :ivar owners: the id and the name of the server's project; empty: the server has no project; None: the host did not
        report the project.
    :ivar state: the name of the server's state, such as ``paused``; empty: the host did not report it.
    :ivar compute_host: the ``host`` option of the compute host that was asked; it is not read from the answer.
    """

    host: Annotated[str, fields.short_text]
    port: Annotated[int, fields.port]
    socket: Annotated[str | None, fields.short_text] = None
    name: Annotated[str, fields.text]
    owners: Annotated[tuple[str, ...] | None, fields.owners] = None
    state: Annotated[str, fields.short_text] = ""
    compute_host: Annotated[str, LOCAL] = ""
