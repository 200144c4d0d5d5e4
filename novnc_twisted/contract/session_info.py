"""How services describe a session to each other."""

from typing import Annotated

from novnc_twisted.contract import fields
from novnc_twisted.contract.mode import CONTROL, MODES
from novnc_twisted.contract.record import Record, record


@record
class SessionInfo(Record):
    """A session, which may be in its set-up, live, or ended.

    The API shows the fields up to ``recording``.  The fields after ``recording`` are for services only.

    :ivar id: the id of the session, unique among all proxies.
    :ivar server_id: the UUID of the server; empty: unknown, for example because the token was not checked yet.
    :ivar server_name: the server's name; empty: unknown.
    :ivar user_id: the user who asked for the token.
    :ivar project_id: the project in which that user asked for the token.
    :ivar console_type: ``novnc`` or ``xvpvnc``.
    :ivar mode: ``control`` (the viewer may send keys, pointer events and clipboard texts) or ``view`` (it may only
        watch).
    :ivar client_address: the address of the viewer; ``unknown`` if it is not known, for example on a unix socket.
    :ivar proxy: the ``host`` option of the proxy.
    :ivar compute_host: the ``host`` option of the compute service that runs the server.
    :ivar phase: the step of the set-up, or ``live``; for an ended session, the phase in which it ended.
    :ivar started_at: Unix time in seconds at which the set-up began: when the connection was accepted or, if it had an
        earlier request, when the response to that request had been sent.
    :ivar last_input_at: Unix time in seconds at which the viewer last sent RFB data; None: it has sent none yet.
    :ivar bytes_in: bytes of RFB received from the viewer.
    :ivar bytes_out: bytes of RFB sent to the viewer.
    :ivar recording: the id of the recording; None: the session is not recorded.
    :ivar right: what the token itself allows (see ``mode``).  ``mode`` differs from it while a viewer with the right
        to control has given control away, and while a viewer without this right has received control.
    :ivar control_since: when the viewer got control, as Unix time in seconds; None without control.
    :ivar administrator: whether an administrator asked for the token.
    :ivar has_page: whether the viewer is the console page, which shows the people at the console.  Control can be
        handed over only to a session with this page.
    :ivar shared_from: the SHA-256 of the token from which the session's token was shared; empty: it was not shared.
    :ivar owners: the id and the name of the project that the server belongs to; None: unknown.
    :ivar admission: the id of the record that consoleauth made when it admitted the session; empty: consoleauth made
        no record.
    :ivar token_hash: the SHA-256 of the token; empty: the viewer sent no token.
    """

    id: Annotated[str, fields.short_text]
    server_id: Annotated[str, fields.uuid] = ""
    server_name: Annotated[str, fields.text] = ""
    user_id: Annotated[str | None, fields.text] = None
    project_id: Annotated[str | None, fields.text] = None
    console_type: Annotated[str, fields.short_text]
    mode: Annotated[str, fields.one_of(*MODES)] = CONTROL
    client_address: Annotated[str, fields.short_text] = ""
    proxy: Annotated[str, fields.short_text]
    compute_host: Annotated[str | None, fields.short_text] = None
    phase: Annotated[str, fields.short_text]
    started_at: Annotated[float, fields.number]
    last_input_at: Annotated[float | None, fields.number] = None
    bytes_in: Annotated[int, fields.count] = 0
    bytes_out: Annotated[int, fields.count] = 0
    recording: Annotated[str | None, fields.short_text] = None
    right: Annotated[str, fields.one_of(*MODES)] = CONTROL
    control_since: Annotated[float | None, fields.number] = None
    administrator: Annotated[bool, fields.boolean] = False
    has_page: Annotated[bool, fields.boolean] = False
    shared_from: Annotated[str, fields.token_hash] = ""
    owners: Annotated[tuple[str, ...] | None, fields.owners] = None
    admission: Annotated[str, fields.admission] = ""
    token_hash: Annotated[str, fields.token_hash] = ""
