"""Finds the cause if a VNC server closes the connection before the session is live."""

from novnc_twisted.errors import ConsoleUnreachable, MessageTooBig, Refusal, TooManySessions


class Dropped(Exception):
    """The connection was lost with an error, such as a reset, before the VNC server had sent anything.

    Probably the server's kernel had no room for the connection.

    :ivar cause: the refusal with which the session ends if the proxy does not try to connect again.
    """

    def __init__(self, cause: ConsoleUnreachable) -> None:
        self.cause = cause
        super().__init__(str(cause))


def loss_before_session(cause: Refusal, *, awaited: str, live_sessions: int, suspicion: str) -> Refusal:
    """Return the refusal that explains the loss.

    QEMU accepts 32 viewers (QEMU's option ``connections``).  QEMU lets the next viewer log in, and then closes the
    connection instead of sending ServerInit.  Other proxies and workers may have most of the 32 viewers.  So one live
    session of this process with the same server is enough to assume that QEMU has no room.  Without such a session, the
    server is assumed to be broken.

    :param cause: how the connection ended.
    :param awaited: the message that the server should have sent next (:attr:`.HandshakeChannel.awaits`); empty if a
        part of this message had arrived.
    :param live_sessions: the number of live sessions of this process with the same server.
    :param suspicion: what may be wrong with TLS; empty if the connection did not end right after the TLS handshake.
    """
    # The text that MessageTooBig shows to people is about viewers, but here the server sent too much.
    if isinstance(cause, MessageTooBig):
        return ConsoleUnreachable(f"the VNC server sent {cause.detail}")
    if awaited == "ServerInit" and live_sessions:
        return TooManySessions(
            "the VNC server closed the connection after the log-in (live sessions of this process with this server: "
            f"{live_sessions}): QEMU takes 32 viewers, from all proxies and workers together; to refuse viewers "
            "earlier, lower [console] max_sessions_per_server"
        )
    detail = f"the VNC server closed the connection {cause.detail}".rstrip()
    return ConsoleUnreachable(f"{detail} right after the TLS handshake: {suspicion}" if suspicion else detail)
