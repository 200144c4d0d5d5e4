"""Reaching the right VNC server: dial it, log in, and compare its name; in doubt, ask once more where it is."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.errors import ConsoleUnreachable, ServiceUnavailable
from novnc_twisted.session.upstream.access_path import request_access_path
from novnc_twisted.session.upstream.connection import UpstreamConnection
from novnc_twisted.session.upstream.dial import dial, place_of
from novnc_twisted.session.upstream.end import UpstreamEnd

if TYPE_CHECKING:
    from novnc_twisted.session.console_types import IConsoleType
    from novnc_twisted.session.setup import SessionSetup


@dataclass(frozen=True, slots=True)
class Reached:
    """A VNC server after the log-in.

    :ivar info: where it is.
    :ivar end: the connection.
    :ivar upstream: runs handshakes over it.
    :ivar opening: what the log-in resulted in (:meth:`.IConsoleType.log_in`).
    :ivar proven: whether it proved to be the server that was asked for.
    """

    info: ConnectInfo
    end: UpstreamEnd
    upstream: UpstreamConnection
    opening: Any
    proven: bool


async def reach(setup: "SessionSetup", console: "IConsoleType", info: ConnectInfo) -> Reached:
    """Log in to the VNC server of a console.

    The place of the server is asked for once more in three cases: it cannot be reached; another VM answers there; or
    the place is not known to be current, and the VNC server does not say whose screen it shows.  A second place is
    tried once.

    :raises ConsoleUnreachable: the server is at neither place.
    :raises Refusal: the second question was refused.
    """
    reached = None
    try:
        reached = await _log_in(setup, console, info)
        if not (reached.proven or info.current):
            raise ConsoleUnreachable("the VNC server does not say whose screen it shows")
    except ConsoleUnreachable as doubt:
        # After end(), each wait fails with the cause of the end.
        if setup.cause is not None:
            raise
        found = await _find_again(setup, info)
        if found is not None and not found.has_address_of(info):
            if reached is not None:
                reached.end.close(doubt)
            reached = await _log_in(setup, console, found)
        elif reached is None:
            raise
        elif found is not None:
            reached = replace(reached, info=found)
    reached.upstream.keep()
    return reached


async def _log_in(setup: "SessionSetup", console: "IConsoleType", info: ConnectInfo) -> Reached:
    """Dial one place, log in, and compare the name."""
    services = setup.services
    settings = services.settings
    setup.enter("dial")
    late = ConsoleUnreachable(f"no connection to {place_of(info)} in time")
    end = await setup.in_time(dial(services.reactor, info, settings), settings.dial_deadline, late)
    # From here on a refusal has to close this connection as well.
    setup.ends.append(end)
    try:
        upstream = UpstreamConnection(setup, end, info)
        if info.internal_access_path:
            setup.enter("access path")
            access = upstream.unless_lost(request_access_path(upstream.channel, info.internal_access_path))
            late = ConsoleUnreachable("no answer to CONNECT in time")
            await setup.in_time(access, settings.dial_deadline, late)
        setup.enter("login")
        late = ConsoleUnreachable("the VNC server did not finish its handshake in time")
        opening = await setup.in_time(upstream.run(console.log_in(settings)), settings.rfb_deadline, late)
        return Reached(info, end, upstream, opening, console.verify(opening, info, settings))
    except ConsoleUnreachable as cause:
        end.close(cause)  # another connection may follow
        raise


async def _find_again(setup: "SessionSetup", info: ConnectInfo) -> ConnectInfo | None:
    """Ask where the console is now; None: there is no way to know."""
    services, viewer = setup.services, setup.viewer
    if services.find_again is None:
        return None
    asked = services.find_again(viewer.token or "", viewer.address, info)
    late = ServiceUnavailable("no answer in time to the question where the console is now")
    return await setup.in_time(asked, services.settings.token_deadline, late)
