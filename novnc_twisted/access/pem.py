"""Certificates and keys from PEM: text as bytes, not a path."""

from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates


def certificates(pem: bytes) -> list[Certificate]:
    """All certificates that stand in it, at least one, in their order.

    :raises ValueError: with what is wrong.
    """
    try:
        return load_pem_x509_certificates(pem)
    except ValueError:
        raise ValueError("no certificate in PEM form") from None


def private_key(pem: bytes) -> Any:
    """The key that stands in it, maybe beside certificates.

    :raises ValueError: with what is wrong; nothing of the text is quoted.
    """
    try:
        return load_pem_private_key(pem, None)
    except TypeError:
        raise ValueError("the key has a passphrase, which nobody could type") from None
    except Exception:
        raise ValueError("no private key in PEM form") from None


def belong_together(certificate: Certificate, key: Any) -> bool:
    """Whether it is the certificate of this key."""
    return bool(key.public_key() == certificate.public_key())
