"""What an operator can do about each refusal: an entry for each class of :mod:`novnc_twisted.errors`."""

ADVICE: dict[str, str] = {
    "TokenMissing": "The link is incomplete, because the proxy received no ``?token=``. If this happens to all users, "
    "a reverse proxy removes the query of the WebSocket request.",
    "InvalidToken": "Request a new link. If links are invalid at once, check that all services have the same "
    "``transport_url``. If links expire too early, raise ``[consoleauth] token_ttl``. After this time, a viewer that "
    "lost its connection can reconnect only from its previous address. If a token plug-in checks the tokens, also "
    "compare the clocks of the hosts.",
    "ConsoleForbidden": "A ``novnc`` link works with novncproxy, an ``xvpvnc`` link with xvpvncproxy. With "
    "``bind_address``, a link is valid only for the address that used it first. If there is a reverse proxy, name it "
    "in ``trusted_proxies``.",
    "InstanceNotFound": "The VM has been deleted. ``openstack server list`` shows the VMs that exist.",
    "ConsoleTypeUnavailable": "Add ``<graphics type='vnc' autoport='yes'/>`` to the VM's XML, or set ``[vnc] "
    "enabled`` on its compute host.",
    "InstanceNotRunning": "Start the VM. The link stays valid until it expires.",
    "ConsoleUnreachable": "The ``detail`` contains the address and the reason. Usual causes: the VM listens on "
    "127.0.0.1, and the proxy is on another host (set ``vnc_listen`` in qemu.conf, shut the VM down, start it); a "
    "firewall; a wrong ``server_proxyclient_address``; a unix socket on another host; with TLS, a wrong certificate "
    "(:ref:`vencrypt`).",
    "ServiceUnavailable": "The ``detail`` names the service that did not answer. Check that consoleauth, Redis and the "
    "VM's compute host are running: ``nova service-list``.",
    "ConsoleClosed": "The VM was stopped or moved, or QEMU closed the connection. QEMU accepts 32 connections. If a "
    "viewer requests exclusive access, QEMU closes all others.",
    "IdleTimeout": "``[console] idle_timeout`` is on. Keys and mouse count as activity, the browser's pings do not.",
    "SessionExpired": "If users need more time, raise ``[consoleauth] token_ttl``, or switch "
    "``enforce_session_timeout`` off. A guest's session always ends with the guest's link (:doc:`sharing`).",
    "Revoked": "Somebody revoked the link through the console API, or the VM is gone. The ``detail`` has the reason.",
    "TooManySessions": "``[console] max_sessions`` was reached, or QEMU's own limit of 32 viewers over all proxies and "
    "workers. The ``detail`` names the limit.",
    "TooManyForServer": "``[console] max_sessions_per_server`` was reached. ``openstack console session list`` shows "
    "who is on the server.",
    "TooManyForUser": "``[console] max_sessions_per_user`` was reached.",
    "TooManyForProject": "``[console] max_sessions_per_project`` was reached.",
    "TooManyFromAddress": "``[console] max_sessions_per_address`` was reached. If all users have the same address, it "
    "is the address of your reverse proxy: set ``trusted_proxies``.",
    "TooManyFailures": "``[console] max_failures_per_minute`` was reached. If all users have the same address, it "
    "is the address of your reverse proxy: set ``trusted_proxies``.",
    "ProtocolViolation": "The client is not a viewer (a port scan, for example), or the viewer has a bug.",
    "TextRefused": "The client is not a VNC viewer: VNC viewers send binary messages only.",
    "MessageTooBig": "The client sent a head over 16 KiB, or a WebSocket message over 1 MiB. Large cookies of the same "
    "domain often make a head too big.",
    "SetupTimeout": "The network is very slow, or the client only keeps connections open.",
    "Stopping": "Viewers reconnect with the same link when the service is running again.",
    "WorkerLost": "One of several ``workers`` was killed or has crashed: the ``detail`` says how it ended. Signal 9 "
    "without a line of the watchdog usually means that the memory was full: see ``dmesg``. The page reconnects by "
    "itself.",
    "ClientLeft": "The viewer was closed, or the network was lost. No action is needed.",
}
