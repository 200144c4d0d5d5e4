"""The record that a session leaves: one structured event, the same fields for every ending."""

from typing import Final

from twisted.logger import Logger, LogLevel

from novnc_twisted.access.display import clean
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.errors import ConsoleUnreachable, Refusal, ServiceUnavailable

_OUR_SIDE: Final = (ConsoleUnreachable, ServiceUnavailable)

log = Logger(namespace="novnc_twisted.session")


def record(
    *,
    cause: Refusal,
    phase: str,
    seconds: float,
    console_type: str,
    peer: str,
    address: str,
    info: ConnectInfo | None,
    bytes_in: int,
    bytes_out: int,
) -> None:
    """Log the end of a session: a warning where our side failed, else information; never a traceback.

    :param phase: how far it came: token, dial, access path, login, offer, live.
    :param seconds: since it was accepted.
    :param peer: the connection's other side; ``address`` is the client that the token's owner was told.
    :param bytes_in: of RFB from the viewer; ``bytes_out``: to it.
    """
    detail = clean(cause.detail)
    name = clean(info.name) if info and info.name else "-"
    uuid = clean(info.instance_uuid) if info and info.instance_uuid else "-"
    client = clean(address)
    log.emit(
        LogLevel.warn if isinstance(cause, _OUR_SIDE) else LogLevel.info,
        "{summary}",  # made here: what Twisted takes to fill in ten fields is a twentieth of a session's set-up
        summary=f"{console_type} console of {name} ({uuid}) for {client} ended in phase {phase} after "
        f"{seconds:.1f} s: {type(cause).__name__}{detail and f' ({detail})'}; {bytes_in} bytes in, {bytes_out} out",
        event="session",
        cause=type(cause).__name__,
        close_code=cause.close_code,
        detail=detail,
        phase=phase,
        seconds=seconds,
        console_type=console_type,
        peer=clean(peer),
        address=client,
        user_id=clean(info.user_id or "") if info else "",
        project_id=clean(info.project_id or "") if info else "",
        instance_uuid=uuid,
        instance_name=name,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
    )
