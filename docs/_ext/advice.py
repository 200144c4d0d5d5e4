"""What an operator can do about each refusal: a row for each class of :mod:`novnc_twisted.errors` (a test holds it)."""

ADVICE: dict[str, str] = {
    "TokenMissing": "The link was cut: ``?token=`` must reach the proxy. A reverse proxy that drops the query of "
    "the WebSocket request does this to everybody.",
    "InvalidToken": "Ask for a new link. If links die at once, compare the clocks of the hosts, and see whether "
    "all services have the same ``transport_url``. If they die too early, raise ``[consoleauth] token_ttl``.",
    "ConsoleForbidden": "A ``novnc`` link belongs to novncproxy, an ``xvpvnc`` link to xvpvncproxy. With "
    "``bind_address`` the link is good only for the address that used it first: behind a reverse proxy set "
    "``trusted_proxies``. After ``token_ttl`` only the address of the lost session may come back.",
    "InstanceNotFound": "The VM was undefined, or its compute host forgot it. ``openstack server list`` shows "
    "what the live hosts have.",
    "ConsoleTypeUnavailable": "Add ``<graphics type='vnc' autoport='yes'/>`` to the VM's XML, or switch ``[vnc] "
    "enabled`` on at its compute host.",
    "InstanceNotRunning": "Start the VM. The link stays valid meanwhile.",
    "ConsoleUnreachable": "The ``detail`` says which address and what happened. Usual causes: the VM listens on "
    "127.0.0.1 and the proxy is on another host (``vnc_listen`` in qemu.conf, then restart the VM); a firewall; a "
    "wrong ``server_proxyclient_address``; a unix socket on another host; with TLS, a certificate (:ref:`vencrypt`).",
    "ServiceUnavailable": "The ``detail`` says who did not answer. See whether consoleauth, Redis and the VM's "
    "compute host run: ``nova service-list``.",
    "ConsoleClosed": "Nothing is wrong with the gateway: the VM was stopped or moved, or QEMU closed the "
    "connection. QEMU takes 32 connections, and a viewer that asks for exclusive access pushes the others out.",
    "IdleTimeout": "``[console] idle_timeout`` is on. Pings of the browser do not count, keys and mouse do.",
    "SessionExpired": "``[consoleauth] enforce_session_timeout`` is on: sessions end when their token does.",
    "Revoked": "Nothing takes back a live session yet, so this is not seen before a later release.",
    "TooManySessions": "``[console] max_sessions_per_server`` or ``max_sessions`` is reached, or QEMU's own 32 "
    "viewers, those of all proxies and workers together; the ``detail`` says which.",
    "TooManyFailures": "``[console] max_failures_per_minute`` is reached. If everybody shares one address, the "
    "proxy sees your reverse proxy: set ``trusted_proxies``.",
    "ProtocolViolation": "Something that is no viewer, such as a port scan, or a viewer with a fault.",
    "TextRefused": "VNC is binary; a WebSocket client of another kind came here.",
    "MessageTooBig": "A head over 16 KiB or a WebSocket message over 1 MiB. Large cookies of the same domain are "
    "a usual cause of the first.",
    "SetupTimeout": "A very bad network, or a client that only holds connections open.",
    "Stopping": "Viewers reconnect with the same link, once it is back.",
    "ClientLeft": "The window was closed, or the network was lost: the usual end, and nothing to be done.",
}
