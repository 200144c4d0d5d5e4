"""The key of JWTs, and the algorithms that may be used with it."""

import base64
import binascii
import warnings
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from novnc_twisted.access.pem import private_key


class Algorithms(NamedTuple):
    """The algorithms of a type of key.

    :ivar signature: algorithms of signed tokens (RFC 7518, section 3.1; for Ed25519 and Ed448: RFC 8037 and
        RFC 9864).
    :ivar encryption: algorithms of encrypted tokens, for the key and for the content (RFC 7518, sections 4.1 and
        5.1).
    """

    signature: tuple[str, ...]
    encryption: tuple[str, ...]


_CONTENT: Final = ("A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512", "A128GCM", "A192GCM", "A256GCM")
_SECRETS: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The algorithms that sign with a secret, each with the minimum number of bytes of the secret (RFC 7518, section 3.2).

A short secret can be found from a single token by trial.
"""

# RSA1_5 is left out on purpose: with RSA1_5, a client can decrypt other tokens by sending many tokens.
RSA: Final = Algorithms(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA-OAEP", "RSA-OAEP-256", *_CONTENT))
EC: Final = Algorithms(
    ("ES256", "ES384", "ES512"), ("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW", *_CONTENT)
)
# Ed25519 and Ed448 keys can only sign.  ``encryption`` contains no key management algorithm, so encrypted tokens are
# refused.
OKP: Final = Algorithms(("Ed25519", "Ed448", "EdDSA"), _CONTENT)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
"""The curves of the algorithms in ``EC.signature`` (RFC 7518, section 3.4)."""
_WITH_SECRET: Final = (*("dir", "A128KW", "A192KW", "A256KW", "A128GCMKW", "A192GCMKW", "A256GCMKW"), *_CONTENT)


def read_key(text: bytes) -> tuple[Any, Algorithms]:
    """Read a key: PEM, or a shared secret in base64url.

    :raises ValueError: the text has another form, or the key is too weak, or its curve or type is not supported; the
        error does not quote the text.
    :raises ImportError: the extra ``[jwt]`` is not installed.
    """
    from joserfc import errors, jwk

    # Issuers still use EdDSA, the former name of Ed25519 and Ed448.  The library would warn at each use.
    warnings.filterwarnings("ignore", category=errors.SecurityWarning)
    if b"-----BEGIN" not in text:
        secret = _secret(text)
        signature = tuple(name for name, shortest in _SECRETS.items() if len(secret) >= shortest)
        return jwk.OctKey.import_key(secret), Algorithms(signature, _WITH_SECRET)
    pem, public = _parsed(text)
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < 2048:
            raise ValueError(f"the RSA key has {public.key_size} bits; 2048 are needed")
        return jwk.RSAKey.import_key(pem), RSA
    if isinstance(public, ec.EllipticCurvePublicKey):
        if not isinstance(public.curve, _CURVES):
            raise ValueError(f"the EC key is on the curve {public.curve.name}; one of P-256, P-384, P-521 is needed")
        return jwk.ECKey.import_key(pem), EC
    if isinstance(public, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return jwk.OKPKey.import_key(pem), OKP
    raise ValueError("the key is not an RSA, EC, Ed25519 or Ed448 key")


def _parsed(text: bytes) -> tuple[bytes, Any]:
    """Return the PEM text of a private or public key, and its public part.

    If the text contains only a certificate, both are the public key of the certificate.
    """
    try:
        if b"-----BEGIN CERTIFICATE" in text and b"PRIVATE KEY-----" not in text:
            public: Any = load_pem_x509_certificate(text).public_key()
            return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), public
        if b"PRIVATE KEY-----" not in text:
            return text, load_pem_public_key(text)
    except Exception:
        raise ValueError("no public key in PEM form") from None
    return text, private_key(text).public_key()


def _secret(text: bytes) -> bytes:
    # Accept plain base64, too, because openssl writes it.  It has "+" and "/" where base64url has "-" and "_".
    words = b"".join(text.split()).rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")
    try:
        secret = base64.b64decode(words + b"=" * (-len(words) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("it is neither a key in PEM form nor a secret in base64url") from None
    shortest = min(_SECRETS.values())
    if len(secret) < shortest:
        raise ValueError(
            f"the secret has {len(secret)} bytes; {shortest} are needed (openssl rand -base64 {shortest} makes one)"
        )
    return secret
