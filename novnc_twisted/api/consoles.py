"""Console links and tokens.

Links are made by actions (up to version 2.5) and by ``remote-consoles`` (from 2.6).  ``os-console-auth-tokens`` (from
2.31) shows the details of a token.
"""

from collections.abc import Sequence
from typing import Any, Final

from novnc_twisted.access.tokens import MAX_TOKEN
from novnc_twisted.api import schema
from novnc_twisted.api.backends import IConsoleAuthAPI
from novnc_twisted.api.call import Call
from novnc_twisted.api.errors import no_such_action
from novnc_twisted.api.links import Links, LinkTerms
from novnc_twisted.api.microversion import Version
from novnc_twisted.contract.connect_info import CONSOLE_TYPES
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource

ACTIONS: Final = {
    "os-getVNCConsole": ("novnc", "xvpvnc"),
    "os-getSPICEConsole": ("spice-html5",),
    "os-getRDPConsole": ("rdp-html5",),
    "os-getSerialConsole": ("serial",),
}
"""The actions of the API versions 2.1 to 2.5, each with its console types."""
_PROTOCOLS = ("vnc", "spice", "serial", "rdp")
_TYPES = ("novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5")

_REMOTE_CONSOLES = Version(2, 6)
_MKS = Version(2, 8)
_AUTH_TOKENS = Version(2, 31)


class Consoles(Resource):
    """Answers with new console links, and with the details of a token."""

    def __init__(self, links: Links, consoleauth: IConsoleAuthAPI) -> None:
        self._links = links
        self._consoleauth = consoleauth

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [
            ("POST", "servers/{}/remote-consoles", self._create),
            ("GET", "os-console-auth-tokens/{}", self._show_token),
        ]

    async def act(self, call: Call, server_id: str, name: str, body: Any) -> Response:
        """Answer an action of :data:`ACTIONS`.  From version 2.6 on, ``remote-consoles`` replaces these actions.

        :raises HTTPError: 400: there is no such action in this version, or the body is wrong.  Other statuses: see
            :meth:`.Links.make`.
        """
        if call.version >= _REMOTE_CONSOLES:
            raise no_such_action(name)
        console_type = schema.choices(body, name, {"type": ACTIONS[name]}, lenient=call.legacy)["type"]
        link = await self._links.make(call.caller, server_id, LinkTerms(console_type=console_type))
        return Response(200, {"console": {"type": console_type, "url": link.url}})

    async def _create(self, call: Call, server_id: str) -> Response:
        call.needs(_REMOTE_CONSOLES)
        mks = call.version >= _MKS
        wanted = schema.choices(
            call.json(),
            "remote_console",
            {
                "protocol": (*_PROTOCOLS, "mks") if mks else _PROTOCOLS,
                "type": (*_TYPES, "webmks") if mks else _TYPES,
            },
        )
        protocol, console_type = wanted["protocol"], wanted["type"]
        if protocol == "rdp":
            raise HTTPError(400, "Unavailable console type rdp.")
        if protocol == "vnc" and console_type not in CONSOLE_TYPES:
            raise HTTPError(400, f"Invalid console type {console_type}")
        terms = LinkTerms(console_type=console_type)
        link = await self._links.make(call.caller, server_id, terms, vnc=protocol == "vnc")
        return Response(200, {"remote_console": {"protocol": protocol, "type": console_type, "url": link.url}})

    async def _show_token(self, call: Call, token: str) -> Response:
        call.needs_admin("os-console-auth-tokens")
        if call.version < _AUTH_TOKENS:
            raise HTTPError(400, f"The details of a console token need API version {_AUTH_TOKENS} or later.")
        # A token that is too long is answered like an unknown token, so that callers do not learn the maximum length.
        if len(token) > MAX_TOKEN:
            raise HTTPError(404, "Token not found")
        info = await self._consoleauth.show_token(token)
        keys = ("instance_uuid", "host", "port", "internal_access_path")
        return Response(200, {"console": {key: info.get(key) for key in keys}})
