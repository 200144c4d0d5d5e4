"""Where a console is, and the user who asked for it (nova's ``connect_info``)."""

from dataclasses import field
from typing import Annotated, Any, Final, Self

from novnc_twisted.contract import fields
from novnc_twisted.contract.mode import CONTROL, MODES
from novnc_twisted.contract.place import Place
from novnc_twisted.contract.record import LOCAL, Record, record

NOVNC: Final = "novnc"
XVPVNC: Final = "xvpvnc"
CONSOLE_TYPES: Final = (NOVNC, XVPVNC)


@record
class ConnectInfo(Record):
    """Where a console is, and the user who asked for it.

    If consoleauth checks the tokens, the compute host makes this record, the API adds the user, consoleauth keeps the
    record with the token, and the proxy gets it from ``check_token``.

    :ivar host: the host name or address to connect to (nova's ``server_proxyclient_address``).
    :ivar port: the TCP port of the VNC server; ignored if ``socket`` is set.
    :ivar socket: the path of the VNC server's unix socket on the compute host.  Only a proxy on that host connects to
        it.  None: the VNC server uses TCP.
    :ivar internal_access_path: a path for a CONNECT request before the RFB handshake (nova's Xen consoles).
    :ivar instance_uuid: the UUID of the server; empty: unknown.
    :ivar name: the server's name, which viewers show as their title.  If nova's API checks the tokens, this is the name
        that the owner gave the server; if consoleauth checks them, the name of the libvirt domain.  Empty: unknown.
    :ivar instance_name: the name of the VM on its host, as QEMU reports it (``instance-00000001``); empty: unknown.
    :ivar console_type: ``novnc`` or ``xvpvnc``.
    :ivar user_id: the user who asked for the token.
    :ivar project_id: the project in which that user asked for the token.
    :ivar compute_host: the ``host`` option of the compute service that runs the server.
    :ivar expires_at: Unix time in seconds at which the session must end; None: the session may outlive its token.
    :ivar reconnects: whether the viewer may reconnect with a token that has expired while the session was live.  A
        viewer with a shared token (``shared_from``) may not, even if the value is True.
    :ivar keep_from: seconds from the time when the session becomes live until the proxy calls ``keep_token`` for the
        first time.  After this call, the proxy makes further ones regularly.  From the answers, the proxy learns that
        the token was revoked or that its mode was changed.  If the viewer may reconnect, the calls also keep the
        token usable after its expiry.
    :ivar mode: what the viewer may do: ``control`` or ``view``.
    :ivar administrator: whether an administrator asked for the token.
    :ivar shared_from: the SHA-256 of another token, if a viewer with that token made this one for a guest.
        ``user_id`` and ``project_id`` are then copied from that token.  None: the token was not made in this way.
    :ivar owners: the id and the name of the server's project, as its compute host reports them; empty: the server has
        no project; None: unknown.
    :ivar state: the state of the server when its compute host was last asked, such as ``paused``; empty: unknown.
    :ivar admission: the id under which consoleauth has recorded that it admitted this session.  The proxy sends the id
        when it reports the end of the session.  Empty: consoleauth made no record.
    :ivar made_at: Unix time in seconds at which the token was made, by the clock of consoleauth's store; None: unknown.
    :ivar current: whether host and port are up to date; False: they are from the time when the token was made, and
        another VM may have them now.
    :ivar password: the VNC password, if a token plug-in checked the token and supplied a password; else None.  If
        consoleauth checks the tokens, the proxy asks consoleauth for the password when the VNC server requires one.
        This field is neither in the ``repr`` of the record nor sent on the bus.
    """

    host: Annotated[str, fields.shared(fields.short_text)]
    port: Annotated[int, fields.port]
    socket: Annotated[str | None, fields.short_text] = None
    internal_access_path: Annotated[str | None, fields.text] = None
    instance_uuid: Annotated[str, fields.shared(fields.uuid)] = ""
    name: Annotated[str, fields.shared(fields.text)] = ""
    instance_name: Annotated[str, fields.shared(fields.text)] = ""
    console_type: Annotated[str, fields.one_of(*CONSOLE_TYPES)] = NOVNC
    user_id: Annotated[str | None, fields.shared(fields.text)] = None
    project_id: Annotated[str | None, fields.shared(fields.text)] = None
    compute_host: Annotated[str | None, fields.shared(fields.short_text)] = None
    expires_at: Annotated[float | None, fields.number] = None
    reconnects: Annotated[bool, fields.boolean] = True
    keep_from: Annotated[float, fields.number] = 0.0
    mode: Annotated[str, fields.one_of(*MODES)] = CONTROL
    administrator: Annotated[bool, fields.boolean] = False
    shared_from: Annotated[str | None, fields.token_hash] = None
    owners: Annotated[tuple[str, ...] | None, fields.owners] = None
    state: Annotated[str, fields.shared(fields.short_text)] = ""
    admission: Annotated[str, fields.admission] = ""
    made_at: Annotated[float | None, fields.number] = None
    current: Annotated[bool, LOCAL] = True
    password: Annotated[str | None, LOCAL] = field(default=None, repr=False)

    def has_address_of(self, other: "ConnectInfo") -> bool:
        """Return whether both records have the same host, port, socket and ``internal_access_path``."""
        mine = self.host, self.port, self.socket, self.internal_access_path
        return mine == (other.host, other.port, other.socket, other.internal_access_path)

    def at(self, place: Place, **changes: Any) -> Self:
        """Return a copy with the values of ``place``, where the console is now.

        These are the address, the names, the owners, the compute host and the state.

        :param changes: other fields, with their new values.
        """
        return self.copy(
            host=place.host,
            port=place.port,
            socket=place.socket,
            # This method is used only with consoleauth.  There, both names are the name of the libvirt domain.
            name=place.name,
            instance_name=place.name,
            compute_host=place.compute_host,
            owners=place.owners,
            state=place.state,
            **changes,
        )
