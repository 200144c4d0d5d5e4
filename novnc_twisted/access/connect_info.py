"""What ``check_token`` tells a proxy: where the console is and who comes (nova's ``connect_info``)."""

from dataclasses import dataclass, field
from typing import Any, Self

NOVNC = "novnc"
XVPVNC = "xvpvnc"
CONSOLE_TYPES = (NOVNC, XVPVNC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectInfo:
    """Where a console is, now.

    :ivar host: the name or address to dial (nova's ``server_proxyclient_address``).
    :ivar port: the TCP port of the VNC server; ignored where ``socket`` is given.
    :ivar socket: the path of the VNC server's unix socket, on the host that runs the instance.
    :ivar internal_access_path: a path to CONNECT to before RFB begins (nova's Xen consoles).
    :ivar instance_uuid: the instance, for logs and limits.
    :ivar name: the server's name as its owner knows it: the title of the viewer.
    :ivar console_type: ``novnc`` or ``xvpvnc``.
    :ivar user_id: who asked for the token.
    :ivar project_id: for which project.
    :ivar compute_host: the ``host`` option of the compute service that runs the instance.
    :ivar expires_at: Unix time in seconds at which the session must end; None: it may outlive its token.
    :ivar reconnects: whether the same token admits the viewer again after the network was lost.
    :ivar keep_from: seconds, from the answer on, for which that is so in any case: only later has anybody to be told
        that the session lives.
    :ivar password: for VNC authentication, where the caller has it at hand; never shown.
    """

    host: str
    port: int
    socket: str | None = None
    internal_access_path: str | None = None
    instance_uuid: str = ""
    name: str = ""
    console_type: str = NOVNC
    user_id: str | None = None
    project_id: str | None = None
    compute_host: str | None = None
    expires_at: float | None = None
    reconnects: bool = True
    keep_from: float = 0.0
    password: str | None = field(default=None, repr=False)

    def to_wire(self) -> dict[str, Any]:
        """As JSON for the bus, without the password: that one is asked for by the connection that needs it."""
        return {name: getattr(self, name) for name in _TYPES}

    @classmethod
    def from_wire(cls, message: Any) -> Self:
        """Read it back, trusting nothing.

        :raises ValueError: where a field has another type than it must, or the port is none.
        """
        if not isinstance(message, dict):
            raise ValueError("connect_info is not an object")
        values: dict[str, Any] = {}
        for name, types in _TYPES.items():
            if name not in message:
                continue
            value = message[name]
            if type(value) not in types:  # what JSON makes has no subclasses; and a bool is no int here
                raise ValueError(f"connect_info has no usable {name}")
            values[name] = value
        if "host" not in values or not 0 <= values.get("port", -1) <= 65535:
            raise ValueError("connect_info has no usable host or port")
        return cls(**values)


_TEXT: tuple[type, ...] = (str,)
_OPTIONAL_TEXT: tuple[type, ...] = (str, type(None))
_TYPES: dict[str, tuple[type, ...]] = {
    "host": _TEXT,
    "port": (int,),
    "socket": _OPTIONAL_TEXT,
    "internal_access_path": _OPTIONAL_TEXT,
    "instance_uuid": _TEXT,
    "name": _TEXT,
    "console_type": _TEXT,
    "user_id": _OPTIONAL_TEXT,
    "project_id": _OPTIONAL_TEXT,
    "compute_host": _OPTIONAL_TEXT,
    "expires_at": (int, float, type(None)),
    "reconnects": (bool,),
    "keep_from": (int, float),
}
