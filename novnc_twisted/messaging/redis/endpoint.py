"""The endpoint of a Redis URL, and its TLS."""

from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    KeyPair,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)

from novnc_twisted.messaging.redis_url import RedisURL

CONNECT_TIMEOUT = 3.0
"""Seconds for name look-up and connecting, and again for TLS and log-in."""

_END = b"-----END CERTIFICATE-----"


def endpoint_of(reactor: Any, address: RedisURL) -> IStreamClientEndpoint:
    """Where to connect.  Over TLS the server's certificate and name are verified.

    :raises ValueError: a file of the URL can't be read or used; the sentence names it.
    """
    if address.path is not None:
        return UNIXClientEndpoint(reactor, address.path, timeout=CONNECT_TIMEOUT)
    endpoint: IStreamClientEndpoint = HostnameEndpoint(reactor, address.host, address.port, timeout=CONNECT_TIMEOUT)
    if not address.tls:
        return endpoint
    trust = None if address.ca is None else trustRootFromCertificates(_certificates("ca", address.ca))
    own, extra = None, {}
    if address.cert is not None:
        chain = _certificates("cert", address.cert)
        own = PrivateCertificate.fromCertificateAndKeyPair(chain[0], _key(address.key or address.cert, chain[0]))
        extra = {"extraCertChain": [certificate.original for certificate in chain[1:]]}
    name = address.server_name or address.host
    return wrapClientTLS(optionsForClientTLS(name, trust, own, extraCertificateOptions=extra), endpoint)


def _read(what: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ValueError(f"transport_url: {what}={file} can't be read: {error.strerror}") from None


def _certificates(what: str, file: str) -> list[Certificate]:
    pem = _read(what, file)
    try:
        found = [Certificate.loadPEM(part + _END) for part in pem.split(_END)[:-1]]
    except (crypto.Error, ValueError):
        found = []
    if not found:
        raise ValueError(f"transport_url: {what}={file} holds no certificate (PEM)")
    return found


def _key(file: str, certificate: Certificate) -> KeyPair:
    pem = _read("key", file)
    try:
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, pem, passphrase=b"")
        context = SSL.Context(SSL.TLS_METHOD)
        context.use_certificate(certificate.original)
        context.use_privatekey(key)
        context.check_privatekey()
    except (crypto.Error, SSL.Error, ValueError, TypeError):
        raise ValueError(f"transport_url: key={file} holds no private key of cert (PEM, not encrypted)") from None
    return KeyPair(key)
