"""The settings of sessions, as plain values with the documented defaults."""

import socket
from dataclasses import dataclass, field

from novnc_twisted.access import deadlines
from novnc_twisted.access.tokens import MAX_TOKEN
from novnc_twisted.rfb.clipboard import NO_LIMITS, ClipboardLimits
from novnc_twisted.rfb.security.vencrypt import DEFAULT_SUBTYPES
from novnc_twisted.session.screen_name import AUTO
from novnc_twisted.session.upstream.tls import UpstreamTLS


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """Settings of the sessions of one front (the noVNC proxy or the XVP proxy).

    Times are in seconds.  0 switches off ``idle_timeout``, ``ping_interval``, ``max_sessions``,
    ``max_sessions_per_server`` and ``max_failures_per_minute``.

    :ivar host: the ``host`` option.  The proxy connects to a VNC server's unix socket only if the VM is on the compute
        host of the same name, that is, on this machine.
    :ivar auth_schemes: RFB security schemes for the VNC server, in the order of preference.
    :ivar vencrypt_subtypes: sub-types of the scheme ``vencrypt``, in the order of preference.
    :ivar upstream_tls: the trusted CAs and our own certificate for ``vencrypt``.
    :ivar name_check: how the name of the screen is compared with the VM: ``auto``, ``off``, or a template.
    :ivar socket_directories: absolute paths of folders.  A VNC server's unix socket must be below one of them.
    :ivar shield: whether each message of a viewer is checked before the VNC server receives it.
    :ivar clipboard: how much text of the clipboard may pass in each direction.
    :ivar idle_timeout: how long a viewer may send no RFB data.
    :ivar ping_interval: time between two pings to a WebSocket viewer; the answers show that the viewer is still there.
    :ivar max_sessions: maximum number of sessions at a time.  A session counts as soon as its token was found valid.
    :ivar max_sessions_per_server: like ``max_sessions``, for each VNC server (QEMU itself takes 32).
    :ivar max_failures_per_minute: number of failed token checks from one client address (/64 for IPv6) in a minute.
        When it is reached, only one token from this address is checked at a time.  Meanwhile, further requests with a
        token are refused.
    :ivar max_token: maximum number of characters of a token that is looked up.
    :ivar tls_deadline: for a TLS handshake, from its first byte (with a viewer) or its start (with a VNC server).
    :ivar head_deadline: for the head of an HTTP request.  It begins when the connection is accepted, when the TLS
        handshake is done, or when the last response was sent.
    :ivar token_deadline: for each call about a token: the check of the token, the request for the VNC password, the
        question where the console is now, and the renewal of the token's lease, which lets the viewer reconnect.
    :ivar dial_deadline: for connecting to the VNC server, including the wait for other sessions that connect to the
        same server.  If the server needs a CONNECT request, this request gets as much time again.
    :ivar rfb_deadline: for each RFB handshake: the one with the VNC server, and the one with the viewer.
    :ivar setup_deadline: for the whole set-up until the session is live.  It begins when the connection is accepted, or
        when the response to the previous request on the connection was sent.
    :ivar refusal_deadline: for the viewer to read the reason of a refusal.
    :ivar keep_interval: from the end of a call of ``keep_token``, which renews the token's lease, to the next call.
    """

    host: str = field(default_factory=socket.gethostname)
    auth_schemes: tuple[str, ...] = ("none", "vnc")
    vencrypt_subtypes: tuple[str, ...] = DEFAULT_SUBTYPES
    upstream_tls: UpstreamTLS = field(default_factory=UpstreamTLS, compare=False)
    name_check: str = AUTO
    socket_directories: tuple[str, ...] = ("/var/lib/libvirt/qemu", "/run/libvirt/qemu")
    shield: bool = True
    clipboard: ClipboardLimits = NO_LIMITS
    idle_timeout: float = 0
    ping_interval: float = 30
    max_sessions: int = 0
    max_sessions_per_server: int = 16
    max_failures_per_minute: int = 600
    max_token: int = MAX_TOKEN
    tls_deadline: float = deadlines.TLS
    head_deadline: float = deadlines.HEAD
    token_deadline: float = 5
    dial_deadline: float = 10
    rfb_deadline: float = 10
    setup_deadline: float = 30
    refusal_deadline: float = 5
    keep_interval: float = 20
