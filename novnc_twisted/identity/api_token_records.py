"""What the keyed store contains about API tokens.

Keys, with the SHA-256 of a user's name as USER, and of a token as HASH:

* ``api:tokens:USER:N``: the description of one token, in slot N of the user.  It is read to list or revoke tokens.
* ``api:token:HASH``: the same description, with the user and the grant.  It is read when a client uses the token.
* ``api:token-used:HASH``: the time of the last recorded use.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from cryptography.fernet import Fernet, InvalidToken

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import Record, record
from novnc_twisted.errors import ServiceUnavailable

MAX_TOKENS: Final = 20
"""Maximum number of tokens of one user."""

MAX_NAME: Final = 100
"""Maximum number of characters of a token's name."""

READ, CONTROL = "read", "control"
RIGHTS: Final = (READ, CONTROL)
"""The rights of a token.  ``read``: read everything that the user may read, except screens.  ``control``: do what the
user may do, except make and revoke API tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class APIToken:
    """The description of an API token, without its secret text.  Times are Unix times in seconds.

    :ivar id: identifies the token; it is not secret.
    :ivar right: one of :data:`RIGHTS`.
    :ivar project: the project for which the token is valid; None: no project.
    :ivar used_at: time of the last recorded use, up to a minute before the real last use; None: no use was recorded.
    """

    id: str
    name: str
    right: str
    project: str | None
    made_at: float
    expires_at: float
    used_at: float | None = None


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("not an object with texts")
    return value


@record
class TokenRecord(Record):
    """The stored form of an API token.

    :ivar hash: the SHA-256 of the token.
    :ivar user: the user who made the token; None in a slot.
    :ivar grant: see :meth:`.ITokenHolders.grant`; None in a slot.  Its field ``secret`` is encrypted (:func:`sealed`).
    """

    hash: Annotated[str, fields.token_hash]
    name: Annotated[str, fields.text_up_to(MAX_NAME)]
    right: Annotated[str, fields.one_of(*RIGHTS)]
    project: Annotated[str | None, fields.text] = None
    made_at: Annotated[float, fields.number]
    expires_at: Annotated[float, fields.number]
    user: Annotated[str | None, fields.text] = None
    grant: Annotated[Mapping[str, str] | None, _texts] = None

    def describe(self, used_at: float | None = None) -> APIToken:
        """Return the description for people and programs."""
        return APIToken(
            id=self.hash[:16],
            name=self.name,
            right=self.right,
            project=self.project,
            made_at=self.made_at,
            expires_at=self.expires_at,
            used_at=used_at,
        )


@record
class UseRecord(Record):
    """The last recorded use of a token."""

    at: Annotated[float, fields.number]


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sealed(grant: dict[str, str], text: str) -> dict[str, str]:
    """Return a grant with an encrypted ``secret``; the key is derived from the text of the token."""
    if "secret" not in grant:
        return grant
    return {**grant, "secret": _seal(text).encrypt(grant["secret"].encode()).decode("ascii")}


def opened(grant: Mapping[str, str], text: str) -> dict[str, str]:
    """Return a grant with the decrypted ``secret``.

    :raises ServiceUnavailable: the secret in the store is damaged.
    """
    if "secret" not in grant:
        return dict(grant)
    try:
        return {**grant, "secret": _seal(text).decrypt(grant["secret"]).decode()}
    except InvalidToken:
        raise ServiceUnavailable("the store: the secret of an API token cannot be decrypted") from None


def _seal(text: str) -> Fernet:
    key = hmac.new(text.encode(), b"novnc-twisted API token", hashlib.sha256).digest()
    return Fernet(urlsafe_b64encode(key))


def key_of(digest: str) -> str:
    """Return the key of a token's record with its user and grant."""
    return f"api:token:{digest}"


def use_of(digest: str) -> str:
    """Return the key of a token's last recorded use."""
    return f"api:token-used:{digest}"


def slots_of(user: str) -> list[str]:
    """Return the keys of a user's slots."""
    # The user's name is hashed, because it may contain characters that are not allowed in keys.
    return [f"api:tokens:{digest_of(user)}:{number}" for number in range(MAX_TOKENS)]
