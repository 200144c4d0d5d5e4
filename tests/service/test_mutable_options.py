"""After a reload, the objects that use a mutable option have its new value."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.forwarded import networks
from novnc_twisted.api.site import APISite
from novnc_twisted.compute import ComputeManager
from novnc_twisted.consoleauth import ConsoleAuthManager
from novnc_twisted.consoleauth.nova_authority import NovaAuthority
from novnc_twisted.frontend.listener import Listener
from novnc_twisted.novncproxy import NoVNCProxyFactory
from novnc_twisted.rfb.clipboard import ClipboardLimits
from novnc_twisted.service.configuration import read_configuration
from novnc_twisted.service.make_service import build
from novnc_twisted.service.options.table import TABLE
from novnc_twisted.service.reconfiguration import Reconfiguration
from novnc_twisted.service.sockets import Sockets
from novnc_twisted.xvpvncproxy import XVPVNCProxyFactory
from tests.support.logged import Logged
from tests.support.twistd import free_port

USERS = (APISite, ComputeManager, ConsoleAuthManager, Listener, NovaAuthority, NoVNCProxyFactory, XVPVNCProxyFactory)
"""The classes whose objects use the options."""

TRUSTED = networks(["192.0.2.9"])


class Made:
    """The objects that ``twistd console`` is made of.

    :ivar objects: the objects of each class of USERS.
    :ivar service: the service.
    """

    def __init__(self) -> None:
        self.objects: dict[type, list[Any]] = {one: [] for one in USERS}
        self.service: Any = None

    @property
    def context(self) -> Any:
        return self.service._context

    def the(self, kind: type) -> Any:
        (one,) = self.objects[kind]
        return one

    @property
    def novnc(self) -> Any:
        return self.the(NoVNCProxyFactory)

    @property
    def rules(self) -> Any:
        """The rules of consoleauth for tokens."""
        return self.the(ConsoleAuthManager)._policy._rules

    @property
    def counts(self) -> Any:
        """The limits of consoleauth for sessions."""
        return self.the(ConsoleAuthManager)._counts.rules

    def setting(self, name: str) -> list[Any]:
        """A session setting: of both proxies and of their registries of sessions."""
        fronts = (self.novnc, self.the(XVPVNCProxyFactory))
        places = [settings for one in fronts for settings in (one.settings, one.registry.services.settings)]
        return [getattr(settings, name) for settings in places]

    def trusted(self) -> list[Any]:
        """The proxies that are trusted: in requests, in PROXY headers and in the limits."""
        limits = [self.context.proxy_connections._trusted, self.context.api_connections._trusted]
        headers = [one.proxies for one in self.objects[Listener]]
        return [
            self.novnc.trusted_proxies,
            self.novnc.upgrades.trusted_proxies,
            self.the(APISite)._trusted,
            *limits,
            *headers,
        ]

    def branded(self) -> list[bool]:
        return [one._branded is not None for one in (self.novnc.page, self.the(APISite).application.branding)]


Read = Callable[[Made], Any]

CASES: Final[dict[tuple[str, str], tuple[str, Read, Any]]] = {
    ("DEFAULT", "drain_timeout"): (
        "30",
        lambda made: (made.context.shutdown.drain, made.service.drain_timeout),
        (30, 30),
    ),
    ("DEFAULT", "shutdown_timeout"): ("7", lambda made: made.the(ComputeManager)._power.shutdown_timeout, 7),
    ("vnc", "name_check"): ("off", lambda made: made.setting("name_check"), ["off"] * 4),
    ("vnc", "socket_directories"): ("/s", lambda made: made.setting("socket_directories"), [("/s",)] * 4),
    ("console", "allowed_origins"): ("a.example", lambda made: made.novnc.upgrades.allowed_origins, ("a.example",)),
    ("console", "frame_ancestors"): (
        "https://a.example",
        lambda made: made.novnc.frame_ancestors,
        ("https://a.example",),
    ),
    ("console", "page_settings"): ("@FILE@", lambda made: made.branded(), [True, True]),
    ("console", "trusted_proxies"): ("192.0.2.9", lambda made: made.trusted(), [TRUSTED] * 7),
    ("console", "shield"): ("false", lambda made: made.setting("shield"), [False] * 4),
    ("console", "hide_administrators"): (
        "true",
        lambda made: made.the(ConsoleAuthManager)._people.hide_administrators,
        True,
    ),
    ("console", "show_user_names"): ("false", lambda made: made.the(ConsoleAuthManager)._people.show_names, False),
    ("console", "clipboard_to_server"): ("5", lambda made: made.setting("clipboard"), [ClipboardLimits(5, -1)] * 4),
    ("console", "clipboard_from_server"): ("6", lambda made: made.setting("clipboard"), [ClipboardLimits(-1, 6)] * 4),
    ("console", "idle_timeout"): ("11", lambda made: made.setting("idle_timeout"), [11] * 4),
    ("console", "ping_interval"): ("12", lambda made: made.setting("ping_interval"), [12] * 4),
    ("console", "max_connections"): ("77", lambda made: made.context.proxy_connections.maximum, 77),
    ("console", "max_sessions"): ("8", lambda made: made.context.limits._max, 8),
    ("console", "max_sessions_per_server"): (
        "9",
        lambda made: (made.context.limits._max_per_server, made.counts.max_sessions_per_server),
        (9, 9),
    ),
    ("console", "max_sessions_per_user"): ("2", lambda made: made.counts.max_sessions_per_user, 2),
    ("console", "max_sessions_per_project"): ("3", lambda made: made.counts.max_sessions_per_project, 3),
    ("console", "max_sessions_per_address"): ("4", lambda made: made.counts.max_sessions_per_address, 4),
    ("console", "history_retention"): ("60", lambda made: made.the(ConsoleAuthManager)._history.retention, 60),
    ("console", "max_failures_per_minute"): ("5", lambda made: made.context.failures.limit, 5),
    ("consoleauth", "token_ttl"): ("61", lambda made: made.rules.token_ttl, 61),
    ("consoleauth", "max_tokens_per_server"): ("6", lambda made: made.rules.max_tokens_per_server, 6),
    ("consoleauth", "max_tokens_per_user"): ("7", lambda made: made.rules.max_tokens_per_user, 7),
}
"""For each option: a new value, a function that reads the value in use, and the expected result."""


class MutableCase(SynchronousTestCase):
    def start(self, command: str, text: str) -> None:
        """Build the service; ``text`` is its configuration."""
        self.made = Made()
        for kind in self.made.objects:
            self.note(kind)
        self.path = Path(self.mktemp())
        self.path.write_text(text)
        conf, _ = read_configuration([str(self.path)])
        sockets = Sockets()
        self.made.service = service = build(command, conf, Clock(), sockets, [])
        for taken in sockets.taken.values():
            for one in taken:
                self.addCleanup(one.close)
        service.running = True
        service.configuration = Reconfiguration(command, Clock(), [str(self.path)], conf)
        self.logged = Logged(self)

    def note(self, kind: type) -> None:
        """Record the objects that are made of a class."""
        original: Any = kind.__init__  # type: ignore[misc]

        def init(this: Any, *arguments: Any, **named: Any) -> None:
            self.made.objects[kind].append(this)
            original(this, *arguments, **named)

        self.patch(kind, "__init__", init)

    def reload(self, text: str) -> None:
        self.path.write_text(text)
        self.made.service.reload()
        self.assertEqual(self.logged.lines("reload failed"), [], text)


class MutableTests(MutableCase):
    def test_each(self) -> None:
        """Each mutable option has a case, and can be changed and changed back."""
        mutable = {(group, option.name) for group, options in TABLE.items() for option in options if option.mutable}
        self.assertEqual(set(CASES), mutable)
        page = Path(self.mktemp()).absolute()
        page.write_text('{"name": "Our cloud"}')
        ports = "osapi_compute_listen_port = {}\n[vnc]\nnovncproxy_port = {}\nxvpvncproxy_port = {}\n"
        more = "[libvirt]\nconnection_uri = test:///default\n[console]\nproxy_protocol = true\n"
        base = f"{ports.format(*(free_port() for _ in range(3)))}{more}trusted_proxies = 192.0.2.1\n"
        self.start("console", base)
        for (section, name), (value, read, wanted) in CASES.items():
            before = read(self.made)
            self.assertNotEqual(before, wanted, name)
            self.reload(f"{base}[{section}]\n{name} = {value.replace('@FILE@', str(page))}\n")
            self.assertEqual(read(self.made), wanted, name)
            self.reload(base)
            self.assertEqual(read(self.made), before, name)

    def test_the_list_without_the_protocol(self) -> None:
        """``proxy_protocol = false`` waits for a restart.  Until then, a removed proxy may not send PROXY headers."""
        ports = [free_port() for _ in range(3)]
        base = (
            f"osapi_compute_listen_port = {ports[0]}\n[libvirt]\nconnection_uri = test:///default\n"
            f"[vnc]\nnovncproxy_port = {ports[1]}\nxvpvncproxy_port = {ports[2]}\n[console]\n"
        )
        self.start("console", f"{base}proxy_protocol = true\ntrusted_proxies = 192.0.2.1\n")
        self.reload(f"{base}proxy_protocol = false\ntrusted_proxies = 192.0.2.9\n")
        self.assertEqual([one.proxies for one in self.made.objects[Listener]], [TRUSTED] * 2)
        # With an empty list, every client would be refused.
        for text in (
            f"{base}proxy_protocol = false\ntrusted_proxies =\nmax_sessions = 7\n",
            f"{base}max_sessions = 7\n",
        ):
            self.path.write_text(text)
            refused = self.successResultOf(self.made.service.reload())
            self.assertIn("[console] trusted_proxies: it is empty, and proxy_protocol stays on", refused)
            self.assertEqual([one.proxies for one in self.made.objects[Listener]], [TRUSTED] * 2)

    def test_token_ttl_of_nova(self) -> None:
        """A reload also changes it at a proxy whose tokens nova checks."""
        credentials = "[nova]\nauth_type = password\nauth_url = http://h:5000/v3\nusername = a\npassword = b\n"
        base = f"{credentials}[vnc]\nnovncproxy_port = {free_port()}\n[consoleauth]\nbackend = nova\n"
        self.start("novncproxy", base)
        authority = self.made.the(NovaAuthority)
        self.assertEqual(authority.token_ttl, 600)
        self.reload(f"{base}token_ttl = 61\n")
        self.assertEqual(authority.token_ttl, 61)
