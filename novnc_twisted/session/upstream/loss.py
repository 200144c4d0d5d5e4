"""Why a VNC server closes the connection before the session is live."""

from novnc_twisted.errors import ConsoleUnreachable, MessageTooBig, Refusal, TooManySessions


def loss_before_session(cause: Refusal, *, awaited: str, live_sessions: int, suspicion: str) -> Refusal:
    """Return the cause with which the session ends.

    QEMU accepts 32 viewers (its own option ``connections``): it logs the next one in, and then closes the connection
    instead of sending ServerInit.  Other proxies and workers may have most of the 32, so this is assumed if this
    process has a live session with the same server; otherwise the server is broken.

    :param cause: how the connection ended.
    :param awaited: the message of the server that was awaited, if no byte of it had arrived.
    :param live_sessions: the number of live sessions of this process with the same server.
    :param suspicion: what may be wrong with TLS, if the connection ended right after its handshake.
    """
    # This cause is written for viewers; here the server sent too much.
    if isinstance(cause, MessageTooBig):
        return ConsoleUnreachable(f"the VNC server sent {cause.detail}")
    if awaited == "ServerInit" and live_sessions:
        return TooManySessions(
            f"the VNC server closed the connection after the log-in, and has {live_sessions} more from this process: "
            "QEMU takes 32 viewers, from all proxies and workers together, and [console] max_sessions_per_server "
            "holds for each worker"
        )
    detail = f"the VNC server closed the connection {cause.detail}".rstrip()
    return ConsoleUnreachable(f"{detail} right after the TLS handshake: {suspicion}" if suspicion else detail)
