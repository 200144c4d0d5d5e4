"""Reads certificates and private keys in PEM form."""

from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates


def certificates(pem: bytes) -> list[Certificate]:
    """Return the certificates in a PEM text, at least one, in their order.

    :raises ValueError: the text contains no certificate, or an invalid one.
    """
    try:
        return load_pem_x509_certificates(pem)
    except ValueError:
        raise ValueError("no certificate in PEM form") from None


def private_key(pem: bytes) -> Any:
    """Return the private key in a PEM text, which may also contain certificates.

    :raises ValueError: the text contains no usable key; the error does not quote the text.
    """
    try:
        return load_pem_private_key(pem, None)
    except TypeError:
        raise ValueError("the key has a passphrase, and a service cannot ask for one") from None
    except Exception:
        raise ValueError("no private key in PEM form") from None


def belong_together(certificate: Certificate, key: Any) -> bool:
    """Return whether a certificate belongs to a key."""
    return bool(key.public_key() == certificate.public_key())
