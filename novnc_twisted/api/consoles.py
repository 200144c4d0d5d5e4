"""Consoles: the action of 2.1 to 2.5, ``remote-consoles`` of 2.6, and ``os-console-auth-tokens`` of 2.31.

A console link takes two calls: the compute host creates the token and the URL, and consoleauth registers the token.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from novnc_twisted.access.tokens import MAX_TOKEN
from novnc_twisted.api import schema
from novnc_twisted.api.backends import IComputeAPI, IConsoleAuthAPI
from novnc_twisted.api.call import Call
from novnc_twisted.api.errors import error_of, no_such_action
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.api.microversion import Version
from novnc_twisted.contract.connect_info import CONSOLE_TYPES
from novnc_twisted.contract.instance import Instance
from novnc_twisted.errors import Refusal
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource
from novnc_twisted.identity.users import Caller

ACTIONS: Final = {
    "os-getVNCConsole": ("novnc", "xvpvnc"),
    "os-getSPICEConsole": ("spice-html5",),
    "os-getRDPConsole": ("rdp-html5",),
    "os-getSerialConsole": ("serial",),
}
"""The actions of 2.1 to 2.5, and the console types of each."""
_PROTOCOLS = ("vnc", "spice", "serial", "rdp")
_TYPES = ("novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5")

_REMOTE_CONSOLES = Version(2, 6)
_MKS = Version(2, 8)
_AUTH_TOKENS = Version(2, 31)


class Consoles(Resource):
    """Answers with new console links, and with the details of a token."""

    def __init__(self, inventory: Inventory, compute: IComputeAPI, consoleauth: IConsoleAuthAPI) -> None:
        self._inventory = inventory
        self._compute = compute
        self._consoleauth = consoleauth

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [
            ("POST", "servers/{}/remote-consoles", self._create),
            ("GET", "os-console-auth-tokens/{}", self._show_token),
        ]

    async def act(self, call: Call, server_id: str, name: str, body: Any) -> Response:
        """Answer an action of :data:`ACTIONS`, which ``remote-consoles`` replaced at 2.6.

        :raises HTTPError: 400: there is no such action at this version, or the body is wrong.
        """
        if call.version >= _REMOTE_CONSOLES:
            raise no_such_action(name)
        console_type = schema.choices(body, name, {"type": ACTIONS[name]}, lenient=call.legacy)["type"]
        url = await self._new_console(call, server_id, console_type)
        return Response(200, {"console": {"type": console_type, "url": url}})

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
        url = await self._new_console(call, server_id, console_type, vnc=protocol == "vnc")
        return Response(200, {"remote_console": {"protocol": protocol, "type": console_type, "url": url}})

    async def _new_console(self, call: Call, server_id: str, console_type: str, *, vnc: bool = True) -> str:
        """Return the URL of a new console of a server.

        :raises HTTPError: with nova's sentences for causes that the user can change.
        """
        try:
            instance = await self._inventory.find(call.caller, server_id)
            if not vnc or console_type not in CONSOLE_TYPES:
                raise HTTPError(400, f"Unavailable console type {console_type}.")
            caller = call.caller
            # An administrator without a project makes the link for the server's own one.
            project = caller.project or instance.project_id
            console = await self._compute.get_vnc_console(instance.uuid, console_type, instance.host)
            info = replace(console.connect_info, user_id=caller.user, project_id=project)
            await self._consoleauth.authorize_console(console.token, info, owner=_owner(caller, instance))
        except Refusal as refusal:
            raise error_of(refusal, server_id=server_id, console_type=console_type) from refusal
        return console.access_url

    async def _show_token(self, call: Call, token: str) -> Response:
        call.needs_admin("os-console-auth-tokens")
        if call.version < _AUTH_TOKENS:
            raise HTTPError(400, f"The details of a console token need API version {_AUTH_TOKENS} or later.")
        # The same answer as for an unknown token: its length reveals nothing.
        if len(token) > MAX_TOKEN:
            raise HTTPError(404, "Token not found")
        info = await self._consoleauth.show_token(token)
        keys = ("instance_uuid", "host", "port", "internal_access_path")
        return Response(200, {"console": {key: info.get(key) for key in keys}})


def _owner(caller: Caller, instance: Instance) -> str | None:
    """Return the project for which a link is made; the link ends when the server moves to another project.

    It is the project because of which the caller sees the server.  Administrators see all servers and make links for
    other users, so for them it is the server's own project.

    :return: None if the link stays valid whatever happens to the server's project.
    """
    if not caller.is_admin and caller.project:
        return caller.project
    return instance.project
