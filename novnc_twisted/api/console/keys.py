"""``/servers/ID/keys``: types a text or presses keys on the virtual keyboard of a server."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from novnc_twisted.api import schema
from novnc_twisted.api.console.call import ConsoleCall
from novnc_twisted.api.errors import error_of
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.api.reported import reported
from novnc_twisted.compute.keyboard_api import Chords, KeyboardAPI
from novnc_twisted.contract import fields
from novnc_twisted.contract.instance import Instance
from novnc_twisted.errors import Refusal
from novnc_twisted.events.records import KeysSent, Observer
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource
from novnc_twisted.keyboard.keys import KEYS, UnknownKey, chord_of
from novnc_twisted.keyboard.layouts import LAYOUTS, CannotType, spell

MAX_TEXT: Final = 1000
"""Maximum number of characters of a text."""

MAX_KEYS: Final = 8
"""Maximum number of keys that are pressed together."""

MAX_OF_USER: Final = 4
"""Maximum number of requests of one user that send keys at the same time, in one process."""

MAX_AT_ONCE: Final = 32
"""Maximum number of requests of all users that send keys at the same time, in one process.

Typing a long text can take minutes.  During this time, the request is in work, and
:mod:`novnc_twisted.api.admission` limits the number of requests in work.  So without this maximum, requests that send
keys could keep out all other requests."""

_TEXT_HOLD: Final = 12
_KEYS_HOLD: Final = 50
"""Milliseconds between two key events, for a ``text`` (``_TEXT_HOLD``) and for ``keys`` (``_KEYS_HOLD``).

QEMU's default is 10 ms.  Some boot menus read the keyboard only every 50 ms, so ``keys`` are sent that slowly.  A
``text`` is sent faster, because a long text would take too much time at 50 ms."""


class Keys(Resource):
    """Sends keys through the hypervisor, without a VNC connection.  The keys are never logged.

    :param observer: called with an event for each request that sends keys.
    """

    def __init__(self, inventory: Inventory, keyboards: KeyboardAPI, observer: Observer) -> None:
        self._inventory = inventory
        self._keyboards = keyboards
        self._observer = observer
        self._users: Counter[str] = Counter()

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [("POST", "servers/{}/keys", self._send)]

    async def _send(self, call: ConsoleCall, server_id: str) -> Response:
        chords, hold = _wanted(call.request.json())
        user = call.caller.user
        if self._users[user] >= MAX_OF_USER or self._users.total() >= MAX_AT_ONCE:
            message = "Too many requests are sending keys. Try again when one of them has ended."
            raise HTTPError(429, message, (("Retry-After", "10"),))
        self._users[user] += 1
        try:
            instance = await self._inventory.find(call.caller, server_id)
            sent = await self._press(call, instance, chords, hold)
        except Refusal as refusal:
            raise error_of(refusal, server_id=server_id) from refusal
        finally:
            self._users -= Counter((user,))  # drops counts of 0
        if not sent:
            raise HTTPError(
                409,
                f"Not all keys were sent to instance {instance.uuid}: another request is sending keys to it, or its "
                "compute host no longer accepts the keys of this request. Try again in a moment.",
            )
        return Response(204)

    async def _press(self, call: ConsoleCall, instance: Instance, chords: Chords, hold: int) -> bool:
        """Press the keys, and send the observer an event with the number of pressed keys, even after an error.

        :return: False: not all keys were pressed, because another request is sending keys to the same server, or
            because the compute host no longer accepts the keys of this request.  The event then has the cause ``task``.
        """
        with reported(self._observer, KeysSent, call.caller, call.request.client, instance) as fields:
            fields["keys"] = 0

            def count(keys: int) -> None:
                fields["keys"] += keys

            sent = await self._keyboards.press(instance, chords, hold, count)
            fields["cause"] = "" if sent else "task"
        return sent


def _wanted(body: Any) -> tuple[Chords, int]:
    """Return the chords (keys to press together) of a body, and the milliseconds between two key events.

    :raises HTTPError: 400; its message repeats at most one character of the text, which may be a password.
    """
    if isinstance(body, dict) and ("text" in body) == ("keys" in body):
        raise HTTPError(400, "Exactly one of text and keys is required.")
    if isinstance(body, dict) and "text" in body:
        # The text is checked here and not by ``schema``, whose errors repeat the value.
        text = body["text"]
        if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
            raise HTTPError(
                400, f"Invalid input for field/attribute text. It is not a text of 1 to {MAX_TEXT} characters."
            )
        checks: dict[str, Callable[[Any], Any]] = {"text": str, "layout": fields.one_of(*LAYOUTS)}
        layout = schema.properties({**body, "text": ""}, checks, ["text"]).get("layout", "us")
        try:
            return [chord for chords in spell(text, layout) for chord in chords], _TEXT_HOLD
        except CannotType as error:
            raise HTTPError(400, f"The layout {layout} has no key for {_name(error.character)}.") from None
    names = schema.properties(body, {"keys": _names}, ["keys"])["keys"]
    try:
        return [chord_of(names)], _KEYS_HOLD
    except UnknownKey as error:
        known = ", ".join(name for name in KEYS if len(name) > 1)
        named = str(error)[:20]
        raise HTTPError(
            400, f"Key {named!r} is unknown or occurs twice. Known keys: {known}, and single characters."
        ) from None


def _names(value: Any) -> list[str]:
    are_texts = isinstance(value, list) and all(isinstance(name, str) for name in value)
    if not are_texts or not 0 < len(value) <= MAX_KEYS:
        raise ValueError(f"not a list of 1 to {MAX_KEYS} names of keys")
    return list(value)


def _name(character: str) -> str:
    code = f"U+{ord(character):04X}"
    return f"'{character}' ({code})" if character.isprintable() else code
