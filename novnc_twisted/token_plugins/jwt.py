"""``JWTTokenApi``: the token is a JWT with the claims ``host`` and ``port``, signed, or signed and encrypted."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from zope.interface import implementer

from novnc_twisted.errors import InvalidToken
from novnc_twisted.token_plugins.interfaces import ITokenPlugin
from novnc_twisted.token_plugins.jwt_key import Algorithms, read_key
from novnc_twisted.token_plugins.target import Target, target_of

_ENCRYPTED_PARTS: Final = 5
"""Number of parts of an encrypted token (RFC 7516, section 7.1).  A signed token has three parts."""


@implementer(ITokenPlugin)
class JWTTokenApi:
    """Verifies JWTs with a key from a file.

    A token must expire, so it needs ``exp`` or ``iat``.  Without ``exp``, it expires ``token_ttl`` seconds after
    ``iat``.  An encrypted token must contain a signed token, because any client can encrypt with a public key.  The
    type of the key, and the length of a secret, determine which algorithms are accepted.

    :ivar token_ttl: see the argument; may be changed.
    """

    max_token = 8192
    reads_once = True
    directories: tuple[str, ...] = ()

    def __init__(self, source: str, *, token_ttl: float = 600, now: Callable[[], float] = time.time) -> None:
        """Read the key.

        :param source: the file: a public or private key or a certificate (PEM), or a shared secret in base64url.
        :param token_ttl: seconds for which a token without ``exp`` is valid after its ``iat``.
        :param now: returns Unix time in seconds.
        :raises ValueError: the file cannot be read or holds no usable key, or the extra ``[jwt]`` is not installed.
        """
        self._source = source
        self._key, self._algorithms = _key_in(source)
        self.token_ttl = token_ttl
        self._now = now

    def start(self) -> None:
        """See ITokenPlugin."""

    def stop(self) -> None:
        """See ITokenPlugin."""

    def renewal(self) -> Callable[[], None]:
        """See ITokenPlugin."""
        fresh = _key_in(self._source)

        def use() -> None:
            self._key, self._algorithms = fresh

        return use

    async def look_up(self, token: str) -> Target:
        """See ITokenPlugin."""
        claims = _claims(token, self._key, self._algorithms)
        now = self._now()
        if _time(claims, "nbf", 0) > now:
            raise InvalidToken("the JWT is not valid yet (nbf)")
        expires_at = _time(claims, "exp", _time(claims, "iat", -math.inf) + self.token_ttl)
        if expires_at == -math.inf:
            raise InvalidToken("the JWT has neither exp nor iat, so that it would be valid for ever")
        if expires_at <= now:
            raise InvalidToken("the JWT has expired")
        try:
            found = target_of(claims.get("host"), claims.get("port"))
        except ValueError as error:
            raise InvalidToken(f"the claims of the JWT: {error}") from None
        return Target(host=found.host, port=found.port, expires_at=expires_at)


def _key_in(source: str) -> tuple[Any, Algorithms]:
    """Read the key from a file.

    :raises ValueError: the file cannot be read or holds no usable key, or the extra ``[jwt]`` is not installed.
    """
    try:
        return read_key(Path(source).read_bytes())
    except OSError as error:
        raise ValueError(f"{source}: {error.strerror}") from None
    except ImportError:
        raise ValueError("JWTTokenApi needs the extra [jwt]: pip install 'novnc-twisted[jwt]'") from None
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _claims(token: str, key: Any, algorithms: Algorithms) -> dict[str, Any]:
    from joserfc import errors, jwe, jws

    try:
        signed = token.encode("ascii")
        if token.count(".") == _ENCRYPTED_PARTS - 1:
            # Compression (zip) is not among the algorithms, because a small token could unpack to many bytes.
            signed = jwe.decrypt_compact(signed, key, algorithms=list(algorithms.encryption)).plaintext or b""
        claims = json.loads(jws.deserialize_compact(signed, key, algorithms=list(algorithms.signature)).payload)
    except errors.UnsupportedAlgorithmError:
        accepted = ", ".join(algorithms.signature)
        raise InvalidToken(
            f"an algorithm of the JWT is not accepted with this key; accepted for signatures: {accepted}"
        ) from None
    except Exception as error:
        # The client chose the bytes, so the libraries may raise any exception.
        raise InvalidToken(f"the JWT can't be verified: {type(error).__name__}") from None
    if not isinstance(claims, dict):
        raise InvalidToken("the JWT has no claims")
    return claims


def _time(claims: dict[str, Any], name: str, missing: float) -> float:
    """Return a claim that is a time in Unix seconds, or ``missing`` if there is no such claim.

    :raises InvalidToken: the claim is not a finite number.
    """
    value = claims.get(name, missing)
    try:
        seconds = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:
        seconds = math.inf
    if name in claims and not math.isfinite(seconds):
        raise InvalidToken(f"the claim {name} of the JWT is not a time")
    return seconds
