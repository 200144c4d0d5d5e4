"""JWTs as tokens: what is accepted, and the well-known attacks."""

import base64
import hmac
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwe, jwk, jws

from novnc_twisted.token_plugins import JWTTokenApi, Target
from tests.support.pki import CA
from tests.token_plugins.test_files import Case

NOW = 1_000_000.0
CLAIMS = {"host": "10.0.0.1", "port": 5900, "exp": NOW + 60}
RSA = jwk.RSAKey.generate_key(2048)
EC = jwk.ECKey.generate_key("P-256")
ED = jwk.OKPKey.generate_key("Ed25519")
SECRET = b"0123456789abcdef0123456789abcdef"


def signed(key: Any, algorithm: str, claims: Any = CLAIMS) -> str:
    text = claims if isinstance(claims, str) else json.dumps(claims)
    return jws.serialize_compact({"alg": algorithm}, text, key, algorithms=[algorithm])


def encrypted(key: Any, algorithm: str, text: str, enc: str = "A256GCM", **header: str) -> str:
    names = [algorithm, enc, *header.values()]
    return jwe.encrypt_compact({"alg": algorithm, "enc": enc, **header}, text, key, algorithms=names)


def encoded(*parts: Any) -> str:
    return ".".join(
        base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode()).decode().rstrip("=")
        for part in parts
    )


class JWTTests(Case):
    def plugin(self, key: Any, *, private: bool = False, ttl: float = 600) -> JWTTokenApi:
        text = key if isinstance(key, bytes) else key.as_pem(private=private)
        path = Path(self.mktemp())
        path.write_bytes(text)
        return JWTTokenApi(str(path), token_ttl=ttl, now=lambda: NOW)

    def secret(self) -> bytes:
        return base64.urlsafe_b64encode(SECRET).rstrip(b"=") + b"\n"

    def test_signed(self) -> None:
        target = Target(host="10.0.0.1", port=5900, expires_at=NOW + 60)
        for key, algorithm in ((RSA, "RS256"), (RSA, "PS512"), (EC, "ES256"), (ED, "Ed25519"), (ED, "EdDSA")):
            self.assertEqual(self.found(self.plugin(key), signed(key, algorithm)), target)
        self.assertEqual(self.found(self.plugin(self.secret()), signed(jwk.OctKey.import_key(SECRET), "HS256")), target)
        self.assertEqual(self.found(self.plugin(RSA, private=True), signed(RSA, "RS384")), target)

    def test_a_certificate(self) -> None:
        credential = CA().issue("portal")
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem_private_key(credential.key, None)
        kind = jwk.RSAKey if "RSA" in type(key).__name__ else jwk.ECKey
        algorithm = "RS256" if kind is jwk.RSAKey else "ES256"
        self.found(self.plugin(credential.cert), signed(kind.import_key(credential.key), algorithm))

    def test_encrypted(self) -> None:
        inner = signed(RSA, "RS256")
        plugin = self.plugin(RSA, private=True)
        self.assertEqual(self.found(plugin, encrypted(RSA, "RSA-OAEP", inner, "A256CBC-HS512")).port, 5900)
        self.assertEqual(self.found(plugin, encrypted(RSA, "RSA-OAEP-256", inner)).port, 5900)
        secret = jwk.OctKey.import_key(SECRET)
        inner = signed(secret, "HS256")
        self.assertEqual(self.found(self.plugin(self.secret()), encrypted(secret, "dir", inner)).port, 5900)

    def test_encrypted_and_not_signed(self) -> None:
        """Such tokens are refused, since anybody can encrypt with the public key."""
        plugin = self.plugin(RSA, private=True)
        self.refused(plugin, encrypted(RSA, "RSA-OAEP", json.dumps(CLAIMS)))
        self.refused(plugin, encrypted(RSA, "RSA-OAEP", encoded({"alg": "none"}, CLAIMS, b"")))

    def test_algorithms(self) -> None:
        """Refused: no signature, the public key as a secret, other keys, another kind of key, RSA1_5, compression."""
        head = encoded({"alg": "HS256"}, CLAIMS)
        confused = f"{head}.{encoded(hmac.digest(RSA.as_pem(private=False), head.encode(), 'sha256'))}"
        inner = signed(RSA, "RS256")
        plugin = self.plugin(RSA, private=True)
        self.refused(
            plugin,
            encoded({"alg": "none"}, CLAIMS, b""),
            encoded({"alg": "RS256"}, CLAIMS, b""),
            confused,
            signed(jwk.RSAKey.generate_key(2048), "RS256"),
            signed(EC, "ES256"),
            encrypted(RSA, "RSA1_5", inner),
            encrypted(RSA, "RSA-OAEP", inner, zip="DEF"),
        )

    def test_secrets_are_as_long_as_the_hash(self) -> None:
        for count, algorithms in (
            (32, ("HS256",)),
            (47, ("HS256",)),
            (48, ("HS256", "HS384")),
            (63, ("HS256", "HS384")),
            (64, ("HS256", "HS384", "HS512")),
        ):
            secret = b"s" * count
            plugin = self.plugin(base64.urlsafe_b64encode(secret))
            for algorithm in ("HS256", "HS384", "HS512"):
                token = signed(jwk.OctKey.import_key(secret), algorithm)
                if algorithm in algorithms:
                    self.found(plugin, token)
                else:
                    reason = self.refused(plugin, token)
                    self.assertTrue(reason.endswith(f"accepted for signatures: {', '.join(algorithms)}"), reason)

    def test_times(self) -> None:
        plugin = self.plugin(ED, ttl=600)
        for claims, words in (
            ({"exp": NOW}, "expired"),
            ({"exp": NOW - 1, "iat": NOW}, "expired"),
            ({"exp": NOW + 60, "nbf": NOW + 1}, "nbf"),
            ({"iat": NOW - 600}, "expired"),
            ({}, "neither exp nor iat"),
            ({"exp": "soon"}, "exp"),
            ({"exp": True}, "exp"),
            ({"exp": None}, "exp"),
            ({"iat": float("nan")}, "iat"),
            ({"exp": float("inf")}, "exp"),
            ({"exp": 10**309}, "exp"),
        ):
            token = signed(ED, "EdDSA", {"host": "h", "port": 1, **claims})
            self.assertIn(words, self.refused(plugin, token))
        token = signed(ED, "EdDSA", {"host": "h", "port": "1", "iat": NOW - 599})
        self.assertEqual(self.found(plugin, token), Target(host="h", port=1, expires_at=NOW + 1))

    def test_claims(self) -> None:
        plugin = self.plugin(ED)
        for claims in (
            *([], 7, None, "x", {}, {"host": "h"}, {"port": 1}, {"host": ["h"], "port": 1}, {"host": "h", "port": 1.5}),
            *({"host": "unix_socket", "port": "/etc/x"}, {"host": "a b", "port": 1}, {"host": "h", "port": True}),
            *({"host": "x" * 256, "port": 1},),
        ):
            more = {**claims, "exp": NOW + 60} if isinstance(claims, dict) else claims
            self.refused(plugin, signed(ED, "EdDSA", more))
        self.refused(plugin, signed(ED, "EdDSA", "[" * 5000), signed(ED, "EdDSA", "no json"))

    def test_what_is_no_jwt(self) -> None:
        plugin = self.plugin(RSA, private=True)
        self.refused(plugin, "", "a", "...", "....", "a.b.c", "a.b.c.d.e", "\udcff.a.b", "é.é.é", "." * 8000)

    def test_renewal(self) -> None:
        """Another key in the file is used after a reload; a bad one changes nothing."""
        path = Path(self.mktemp())
        path.write_bytes(ED.as_pem(private=False))
        plugin = JWTTokenApi(str(path), now=lambda: NOW)
        path.write_bytes(RSA.as_pem(private=False))
        use = plugin.renewal()
        self.found(plugin, signed(ED, "EdDSA"))
        use()
        self.refused(plugin, signed(ED, "EdDSA"))
        self.found(plugin, signed(RSA, "RS256"))
        path.write_bytes(b"short")
        self.assertRaises(ValueError, plugin.renewal)
        self.found(plugin, signed(RSA, "RS256"))

    def test_keys(self) -> None:
        for text, words in (
            (b"", "0 bytes"),
            (b"secret_sauce", "9 bytes; 32 are needed"),
            (b"not base64!", "neither a key"),
            (b"-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n", "no public key"),
            (b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n", "no private key"),
            (_weak(), "1024 bits"),
        ):
            error = str(self.assertRaises(ValueError, self.plugin, text))
            self.assertIn(words, error)
            self.assertNotIn("secret_sauce", error)
        self.assertIn("No such file", str(self.assertRaises(ValueError, JWTTokenApi, "/nowhere")))

    def test_curves(self) -> None:
        """A key on a curve that no algorithm can use is refused when it is read, with the name of the curve."""
        for curve, algorithm in (("P-256", "ES256"), ("P-384", "ES384"), ("P-521", "ES512")):
            key = jwk.ECKey.generate_key(curve)
            self.found(self.plugin(key), signed(key, algorithm))
        for curve in (ec.SECP192R1, ec.SECP224R1, ec.SECP256K1, ec.BrainpoolP256R1):
            private = ec.generate_private_key(curve())
            for text in (
                private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
                private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            ):
                error = str(self.assertRaises(ValueError, self.plugin, text))
                self.assertIn(f"the EC key is on the curve {curve.name}; one of P-256, P-384, P-521 is needed", error)

    def test_other_kinds_of_keys(self) -> None:
        key = jwk.OKPKey.generate_key("Ed448")
        self.found(self.plugin(key), signed(key, "Ed448"))
        public = x25519.X25519PrivateKey.generate().public_key()
        error = self.assertRaises(
            ValueError, self.plugin, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        self.assertIn("the key is not an RSA, EC, Ed25519 or Ed448 key", str(error))


def _weak() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import rsa

    public = rsa.generate_private_key(65537, 1024).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
