"""TLS towards VNC servers (VeNCrypt): whom we trust, who we are, and whether it is the one that was dialled.

The certificate is checked here, by OpenSSL and service_identity, and not by ``optionsForClientTLS``: that one logs, and
lets pass, what service_identity can't read, a certificate without any subjectAltName among it (Twisted 26.10, seen).
Here whatever is not known to be right is wrong.
"""

import ipaddress
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from OpenSSL import SSL
from service_identity import VerificationError
from service_identity.cryptography import extract_patterns
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from twisted.internet import ssl
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from novnc_twisted.access.connect_info import ConnectInfo
from novnc_twisted.access.pem import belong_together, certificates, private_key
from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.relay.ends import StreamEnd, tls_error
from novnc_twisted.rfb.security.vencrypt import SUBTYPES

T = TypeVar("T")

# Those that agree on a key without a certificate; OpenSSL 3 has them from security level 0 on, TLS 1.3 not at all.
_ANONYMOUS = b"ADH+AESGCM:ADH+AES:AECDH+AES:@SECLEVEL=0"

_WHY = {
    7: "its signature is not the trusted CA's",
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed, and not one of the trusted",
    19: "its CA is not trusted",
    20: "its CA is not trusted, or not known",
    21: "its CA is not trusted, or not known",
    23: "it was revoked",
    24: "its CA is no CA",
    26: "it is not made for servers",
    66: "its key is too weak",
    67: "its CA's key is too weak",
    68: "its digest is too weak",
}
"""X509_V_ERR_... of OpenSSL, those that happen."""


class UpstreamTLS:
    """Credentials for the TLS inside of VeNCrypt.  PEM is text as bytes, not a path.

    :ivar server_name: the name that every VNC server's certificate must have, or None.
    """

    def __init__(
        self,
        *,
        ca_certs: bytes | None = None,
        client_cert: bytes | None = None,
        client_key: bytes | None = None,
        server_name: str | None = None,
    ) -> None:
        """Check what is given.

        :param ca_certs: certificates (PEM) of the CAs that VNC servers are trusted by; None: the system's.
        :param client_cert: ours (PEM), with the intermediate ones behind it; None: we show none.
        :param client_key: its key (PEM, without a passphrase); None: it stands in ``client_cert``.
        :param server_name: a DNS name or an IP address instead of what was dialled.
        :raises ValueError: with the parameter's name and what is wrong with it.
        """
        self.server_name = server_name
        self._authorities: list[Certificate] | None = None
        self._chain: list[Certificate] = []
        self._key: Any = None
        if server_name is not None:
            _identity(server_name, "server_name: ")
        if ca_certs is not None:
            self._authorities = _named("ca_certs", certificates, ca_certs)
        if client_cert is not None:
            self._chain = _named("client_cert", certificates, client_cert)
            what = "client_key" if client_key is not None else "client_cert"
            self._key = _named(what, private_key, client_key if client_key is not None else client_cert)
            if not belong_together(self._chain[0], self._key):
                raise ValueError(f"{what}: the key is not the one of the certificate")
        elif client_key is not None:
            raise ValueError("client_key: there is no client_cert with it")
        if client_cert is not None:
            try:
                self._options.getContext()
            except SSL.Error as error:
                raise ValueError(f"client_cert: {tls_error(error)}") from None

    def prepare(self, subtypes: Sequence[str]) -> None:
        """Make ready for these sub-types of VeNCrypt, so that the first session need not.

        :raises ValueError: if one of them can't be had here.
        """
        if any(SUBTYPES[name][1] for name in subtypes):
            self._options.getContext()
        if not all(SUBTYPES[name][1] for name in subtypes):
            anonymous_context()

    @cached_property
    def _options(self) -> ssl.CertificateOptions:
        """One context for all servers; what differs is set on the connection."""
        ours: dict[str, Any] = {}
        if self._chain:
            ours = {"privateKey": self._key, "certificate": self._chain[0], "extraCertChain": self._chain[1:]}
        roots = ssl.platformTrust()
        if self._authorities is not None:
            roots = ssl.trustRootFromCertificates(
                [ssl.Certificate.loadPEM(authority.public_bytes(Encoding.PEM)) for authority in self._authorities]
            )
        return ssl.CertificateOptions(trustRoot=roots, raiseMinimumTo=ssl.TLSVersion.TLSv1_2, **ours)

    def name_of(self, info: ConnectInfo) -> str:
        """What the VNC server's certificate must name: ``server_name``; else the address dialled; for a unix socket,
        which has none, the compute host.
        """
        return self.server_name or (info.compute_host or "" if info.socket else info.host)

    async def start(self, end: StreamEnd, name: str | None) -> None:
        """Start TLS on an end, and return when it is up and the server is the one.

        :param name: what its certificate must name; None: it has none, nobody is verified.
        :raises ConsoleUnreachable: with what failed.
        """
        check: _Named | _Anonymous = _Anonymous() if name is None else _Named(self._options, name)
        try:
            await end.start_tls(check)
        except SSL.Error as error:
            raise ConsoleUnreachable(
                check.failure or f"the TLS handshake with the VNC server failed: {tls_error(error)}"
            ) from None
        except Exception as error:  # however a connection can be lost
            raise ConsoleUnreachable(
                check.failure or f"the VNC server ended the TLS handshake ({type(error).__name__})"
            ) from None

    @property
    def suspicion(self) -> str:
        """Why a server may hang up as soon as it has seen, or not seen, our certificate."""
        if not self._chain:
            return "it may want a client certificate (vencrypt_client_cert), and we have none"
        if self._chain[0].not_valid_after_utc < datetime.now(UTC):
            return "our client certificate (vencrypt_client_cert) has expired"
        return "it may not accept our client certificate (vencrypt_client_cert)"


@implementer(IOpenSSLClientConnectionCreator)
class _Named:
    """One handshake with a server that must have a certificate with this name.

    :ivar failure: what was wrong with it.
    """

    def __init__(self, options: ssl.CertificateOptions, name: str) -> None:
        self.failure = ""
        self._options, self._name = options, name
        try:
            self._identity = _identity(name)
        except ValueError as error:
            raise ConsoleUnreachable(f"no certificate can be checked for it: {error}") from None

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """A connection that verifies."""
        connection = self._options.clientConnectionForTLS(tlsProtocol)
        if isinstance(self._identity, DNS_ID):
            connection.set_tlsext_host_name(self._identity.hostname)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        return connection

    def _verify(self, _connection: SSL.Connection, certificate: Any, error: int, depth: int, ok: int) -> bool:
        """Told of each certificate of the chain, and of each error, by OpenSSL."""
        if not ok:
            whose = "certificate" if depth == 0 else "CA certificate"
            self.failure = f"certificate verify failed: the VNC server's {whose}: {_WHY.get(error, f'error {error}')}"
            return False
        if depth == 0:
            try:
                verify_service_identity(extract_patterns(certificate.to_cryptography()), [self._identity], [])
            except VerificationError:
                self.failure = f"name mismatch: the VNC server's certificate is not for {self._name}"
            except Exception as unreadable:  # what is not known to be right is wrong
                self.failure = f"name mismatch: the VNC server's certificate names nobody: {type(unreadable).__name__}"
        return not self.failure


@implementer(IOpenSSLClientConnectionCreator)
class _Anonymous:
    """One handshake with a server that has no certificate: TLS against listeners, not against impostors."""

    failure = ""

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """A connection that verifies nobody."""
        return SSL.Connection(anonymous_context(), None)


def anonymous_context() -> SSL.Context:
    """TLS without certificates.

    :raises ValueError: if this machine's OpenSSL has none.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    try:
        context.set_cipher_list(_ANONYMOUS)
    except SSL.Error:
        raise ValueError("this machine's OpenSSL has no anonymous TLS") from None
    return context


def _identity(name: str, what: str = "") -> DNS_ID | IPAddress_ID:
    """What a certificate must name: an IP address (brackets and zone are not in it), or a DNS name."""
    try:
        return IPAddress_ID(str(ipaddress.ip_address(name.strip("[]").partition("%")[0])))
    except ValueError:
        pass
    try:
        return DNS_ID(name.rstrip(".").encode("idna").decode())
    except (ValueError, UnicodeError):
        raise ValueError(f"{what}{name!r} is neither a DNS name nor an IP address") from None


def _named(what: str, read: Callable[[bytes], T], pem: bytes) -> T:
    try:
        return read(pem)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
