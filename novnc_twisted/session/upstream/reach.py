"""Reaches the right VNC server: dials it, logs in, and compares the name of its screen with the name of the VM.

If one of these steps fails, or if the server may be the wrong one, the proxy asks the authority (consoleauth or nova)
once more where the console is.
"""

from dataclasses import replace
from random import uniform
from typing import TYPE_CHECKING, Any, Final

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.errors import ConsoleUnreachable, ServiceUnavailable
from novnc_twisted.messaging.waiting import sleep
from novnc_twisted.read_only import read_only
from novnc_twisted.session.upstream.access_path import request_access_path
from novnc_twisted.session.upstream.connection import UpstreamConnection
from novnc_twisted.session.upstream.dial import dial, place_of
from novnc_twisted.session.upstream.end import UpstreamEnd
from novnc_twisted.session.upstream.loss import Dropped
from novnc_twisted.session.upstream.silence import Silence
from novnc_twisted.session.upstream.turns import Turn

if TYPE_CHECKING:
    from novnc_twisted.session.console_types import IConsoleType
    from novnc_twisted.session.setup import SessionSetup

PAUSES: Final = (0.2, 0.5, 1.0, 2.0)
"""The maximum pause in seconds before each new attempt, if the connection was dropped before the first byte."""


@read_only()
class Reached:
    """A VNC server after the log-in.

    :ivar info: the connect info of the console.
    :ivar end: the connection.
    :ivar upstream: runs handshakes over this connection.
    :ivar opening: the result of the log-in (:meth:`.IConsoleType.log_in`).
    :ivar proven: the result of :meth:`.IConsoleType.verify`.  False: there was not enough information to compare.  If
        the server shows another VM, ``verify`` raises an error, so no Reached is made.
    """

    info: ConnectInfo
    end: UpstreamEnd
    upstream: UpstreamConnection
    opening: Any
    proven: bool


async def reach(setup: "SessionSetup", console: "IConsoleType", info: ConnectInfo) -> Reached:
    """Log in to the VNC server of a console.

    The place of the server is looked up once more in three cases: the connection or the log-in fails; another VM
    answers there; or the place may be outdated and the VNC server does not report whose screen it shows.  If the second
    look-up returns another place, the proxy logs in there.  There is no third look-up.

    :raises ConsoleUnreachable: no place that the look-ups returned led to a log-in to the right server.
    :raises Refusal: the second look-up or another step failed, or the VNC server accepts no more viewers.
    """
    reached = None
    try:
        reached = await _log_in(setup, console, info)
        if not (reached.proven or info.current):
            raise ConsoleUnreachable("the VNC server does not say whose screen it shows")
    except ConsoleUnreachable as doubt:
        # If the log-in failed only because the session was ended, there is nothing to look up.
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
        # If ``found`` is None, the reached server is used: nothing shows that it is the wrong one.
    reached.upstream.keep()
    return reached


async def _log_in(setup: "SessionSetup", console: "IConsoleType", info: ConnectInfo) -> Reached:
    """Dial one place, log in, and compare the names; try again if the connection is dropped before the first byte."""
    for pause in PAUSES:
        try:
            return await _attempt(setup, console, info)
        except Dropped as dropped:
            # Random: other connections may have been dropped at the same moment, and must not be repeated together.
            seconds = pause * uniform(0.5, 1)  # noqa: S311
            cause = dropped.cause
            await setup.in_time(sleep(seconds, setup.services.reactor), pause, type(cause), cause.detail)
    try:
        return await _attempt(setup, console, info)
    except Dropped as dropped:
        raise dropped.cause from None


async def _attempt(setup: "SessionSetup", console: "IConsoleType", info: ConnectInfo) -> Reached:
    """Make one connection, log in, and compare the names.

    :raises Dropped: the connection was dropped before the first byte.
    """
    services = setup.services
    settings = services.settings
    setup.enter("dial")
    # Connections to one VNC server are made one after the other; each waits for its turn in the server's queue.  Behind
    # one HTTP server, each access path leads to another VNC server, so each path has its own queue.
    turn = services.turns.take(services.reactor, place_of(info) + (info.internal_access_path or ""))
    try:
        end = await _connect(setup, info, turn)
        # From now on, a refusal has to close this connection as well.
        setup.ends.append(end)
        silence = Silence(services.reactor, end, turn)
    except BaseException:
        turn.give_back()
        raise
    try:
        upstream = UpstreamConnection(setup, end, info, silence.over)
        if info.internal_access_path:
            setup.enter("access path")
            access = upstream.unless_lost(request_access_path(upstream.channel, info.internal_access_path))
            await setup.in_time(access, settings.dial_deadline, ConsoleUnreachable, "no answer to CONNECT in time")
        setup.enter("login")
        late, detail = ConsoleUnreachable, "the VNC server did not finish its handshake in time"
        opening = await setup.in_time(upstream.run(console.log_in(settings)), settings.rfb_deadline, late, detail)
        return Reached(info, end, upstream, opening, console.verify(opening, info, settings))
    except ConsoleUnreachable as cause:
        end.close(cause)  # another connection may follow
        if end.dropped:
            raise Dropped(cause) from None
        raise
    finally:
        silence.over()


async def _connect(setup: "SessionSetup", info: ConnectInfo, turn: Turn) -> UpstreamEnd:
    """Wait for the turn and dial, both within one deadline."""
    services = setup.services
    late, detail = ConsoleUnreachable, f"no connection to {place_of(info)} in time"
    seconds = services.settings.dial_deadline
    if turn.begins is not None:
        began = services.reactor.seconds()
        await setup.in_time(turn.begins, seconds, late, detail)
        seconds -= services.reactor.seconds() - began
    return await setup.in_time(dial(services.reactor, info, services.settings), seconds, late, detail)


async def _find_again(setup: "SessionSetup", info: ConnectInfo) -> ConnectInfo | None:
    """Ask the authority where the console is now.

    :return: the answer; None if ``find_again`` of the services is None, or returns None.
    :raises Refusal: the authority refuses the token, or does not answer.
    """
    services, viewer = setup.services, setup.viewer
    if services.find_again is None:
        return None
    asked = services.find_again(viewer.token or "", viewer.address, info)
    late, detail = ServiceUnavailable, "no answer in time to the question where the console is now"
    return await setup.in_time(asked, services.settings.token_deadline, late, detail)
