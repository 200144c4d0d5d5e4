"""Serves the methods of nova-consoleauth on the bus.

Nova's counterparts are ``consoleauth/manager.py`` in Essex and ``objects/console_auth_token.py`` today.
"""

from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from novnc_twisted.consoleauth.admission_methods import AdmissionMethods
from novnc_twisted.consoleauth.admissions import Admissions
from novnc_twisted.consoleauth.grants import Grants
from novnc_twisted.consoleauth.history import History
from novnc_twisted.consoleauth.host_methods import HostMethods
from novnc_twisted.consoleauth.lease_methods import LeaseMethods
from novnc_twisted.consoleauth.live_sessions import LiveSessions
from novnc_twisted.consoleauth.open_sessions import OpenSessions
from novnc_twisted.consoleauth.people import People
from novnc_twisted.consoleauth.people_methods import PeopleMethods
from novnc_twisted.consoleauth.places import Places
from novnc_twisted.consoleauth.policy import TokenPolicy
from novnc_twisted.consoleauth.rules import TokenRules
from novnc_twisted.consoleauth.session_counts import SessionCounts, SessionRules
from novnc_twisted.consoleauth.session_methods import SessionMethods
from novnc_twisted.consoleauth.token_events import TokenEvents
from novnc_twisted.consoleauth.token_methods import TokenMethods
from novnc_twisted.consoleauth.token_places import TokenPlaces
from novnc_twisted.contract.topics import CONSOLEAUTH, CONSOLEAUTH_BINARY, RESTART
from novnc_twisted.events.records import Observer
from novnc_twisted.messaging.interfaces import ITransport, Method


class ConsoleAuthManager:
    """Serves the topic ``consoleauth``.  Any number of managers may serve it over one store.

    :param transport: calls, presence and the store.
    :param clock: for deadlines, delays and ages.
    :param token_ttl: seconds for which a token is valid.
    :param enforce_session_timeout: whether a session ends when its token expires.  If so, its viewer cannot reconnect
        after the token has expired.
    :param one_time: whether a token can be used only once, to open one console.
    :param bind_address: whether a token is valid from one client address only: the address that the API named, or else
        the first address that uses the token.
    :param max_tokens_per_server: maximum number of tokens of a server; a further one drops the oldest.  0: no limit.
    :param max_tokens_per_user: maximum number of tokens that a user asked for; a further one drops the oldest.
        0: no limit.
    :param history_retention: seconds for which ended sessions are kept; 0: none are kept.
    :param session_rules: limits for the number of sessions, counted over all proxies; None: no limits.
    :param hide_administrators: whether an administrator who only watches a console is hidden from users who are
        not administrators.
    :param show_names: whether console pages show the names of users.
    :param host: the host name under which the service is listed.
    :param now: returns Unix time in seconds.  None: for tokens, the clock of the store, which all managers share; for
        the history and ``OpenSessions``, the clock of this host.
    :param observer: called with an event (``novnc_twisted.events``) for each token that is made, shared, used or
        refused, for each revocation or removal of tokens, and for each request for control and change of control.
    """

    def __init__(
        self,
        transport: ITransport,
        clock: IReactorTime,
        *,
        token_ttl: float = 600,
        enforce_session_timeout: bool = False,
        one_time: bool = False,
        bind_address: bool = False,
        max_tokens_per_server: int = 64,
        max_tokens_per_user: int = 1024,
        history_retention: float = 604_800,
        session_rules: SessionRules | None = None,
        hide_administrators: bool = False,
        show_names: bool = True,
        host: str = "localhost",
        now: Callable[[], float] | None = None,
        observer: Observer = lambda _event: None,
    ) -> None:
        rules = self._rules = TokenRules(
            token_ttl=token_ttl,
            enforce_session_timeout=enforce_session_timeout,
            one_time=one_time,
            bind_address=bind_address,
            max_tokens_per_server=max_tokens_per_server,
            max_tokens_per_user=max_tokens_per_user,
        )
        self._transport = transport
        policy = self._policy = TokenPolicy(transport.store, clock, rules, now)
        places = self._places = Places(transport, clock)
        token_places = TokenPlaces(places)
        opened = OpenSessions(transport.store, now)
        counts = self._counts = SessionCounts(transport, clock, session_rules or SessionRules(), opened)
        self._host = host
        events = TokenEvents(observer)
        sessions = self._sessions = LiveSessions(transport, clock, policy.mode)
        admissions = Admissions(transport.store)
        history = self._history = History(transport.store, admissions, history_retention, now, counts.ended)
        grants = Grants(transport.store, policy)
        people = self._people = People(
            transport, clock, grants, hide_administrators=hide_administrators, show_names=show_names
        )
        token_methods = TokenMethods(policy, places, sessions, events)
        session_methods = SessionMethods(policy, sessions, history, events, people)
        host_methods = HostMethods(transport, clock, policy, token_places)
        self._parts = (
            token_methods,
            AdmissionMethods(clock, policy, token_places, counts, admissions, people, events),
            session_methods,
            LeaseMethods(clock, policy, token_places, admissions, events),
            host_methods,
            PeopleMethods(policy, people, grants, session_methods, host_methods, admissions, token_methods, events),
        )
        self._withdraw: Callable[[], Deferred[None]] | None = None

    def change(
        self,
        *,
        token_ttl: float,
        max_tokens_per_server: int,
        max_tokens_per_user: int,
        history_retention: float,
        session_rules: SessionRules,
    ) -> None:
        """Use other values of these arguments for new tokens, new sessions and sessions that end from now on.

        On Redis, ``history_retention`` also applies to earlier sessions as soon as another session enters the history.
        """
        self._rules = replace(
            self._rules,
            token_ttl=token_ttl,
            max_tokens_per_server=max_tokens_per_server,
            max_tokens_per_user=max_tokens_per_user,
        )
        self._policy.use_rules(self._rules)
        self._history.retention = history_retention
        self._counts.rules = session_rules

    def use_people(self, *, hide_administrators: bool, show_names: bool) -> None:
        """Use other values of these arguments for later updates of pages."""
        self._people.hide_administrators, self._people.show_names = hide_administrators, show_names

    def start(self) -> Deferred[None]:
        """Serve the topic."""
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> Deferred[None]:
        """Stop serving; the tokens stay in the store."""
        return Deferred.fromCoroutine(self._stop())

    async def check_store(self) -> None:
        """Check that the store accepts tokens.

        :raises ServiceUnavailable: the store does not accept them.
        """
        await self._policy.check_store()

    async def _start(self) -> None:
        self._withdraw = await self._transport.serve(
            CONSOLEAUTH.name,
            {name: self._method(name) for name in CONSOLEAUTH.methods},
            binary=CONSOLEAUTH_BINARY,
            host=self._host,
            callers=CONSOLEAUTH.methods,
            returns_within=RESTART,
        )
        # Begin to read, in the background, the lists of servers that compute hosts publish.
        self._places.prepare()

    async def _stop(self) -> None:
        withdraw, self._withdraw = self._withdraw, None
        # Withdraw the topic first: calls that are being answered still need the other objects.
        if withdraw is not None:
            await withdraw()
        self._places.stop()
        self._people.stop()
        self._sessions.stop()

    def _method(self, name: str) -> Method:
        method: Method = getattr(next(part for part in self._parts if hasattr(part, name)), name)
        return method
