"""The check that a TLS server is the expected one, for all of our connections that check names.

OpenSSL and service_identity check the certificate here, instead of ``optionsForClientTLS``.  The latter logs
certificates that service_identity cannot read, and accepts them, for example one without a subjectAltName (seen with
Twisted 26.10).  Here a certificate is refused unless it is known to be right.
"""

import ipaddress
from typing import Any

from OpenSSL import SSL
from service_identity import VerificationError
from service_identity.cryptography import extract_patterns
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions
from zope.interface import implementer

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


@implementer(IOpenSSLClientConnectionCreator)
class Named:
    """One handshake with a server that must have a certificate with this name.

    :ivar failure: the reason of the failure, in our words; empty until there is one.
    """

    def __init__(self, options: CertificateOptions, name: str, whose: str = "the server's") -> None:
        """Be ready for one connection.

        :param options: whom to trust, and who we are; one for many connections.
        :param name: a DNS name or an IP address.
        :param whose: the server in the failure, as "the VNC server's".
        :raises ValueError: the name is neither.
        """
        self.failure = ""
        self._options, self._name, self._whose = options, name, whose
        self._identity = identity(name)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """A connection that verifies."""
        connection = self._options.clientConnectionForTLS(tlsProtocol)
        if isinstance(self._identity, DNS_ID):
            # Server name indication carries host names only (RFC 6066, section 3), not addresses.
            connection.set_tlsext_host_name(self._identity.hostname)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        return connection

    def _verify(self, _connection: SSL.Connection, certificate: Any, error: int, depth: int, ok: int) -> bool:
        """Called by OpenSSL for each certificate of the chain, and for each error."""
        # OpenSSL calls this again for the next certificate unless it returns False, so the first failure ends the
        # handshake.
        if not ok:
            which = "certificate" if depth == 0 else "CA certificate"
            self.failure = f"certificate verify failed: {self._whose} {which}: {_WHY.get(error, f'error {error}')}"
            return False
        if depth == 0:
            try:
                verify_service_identity(extract_patterns(certificate.to_cryptography()), [self._identity], [])
            except VerificationError:
                self.failure = f"name mismatch: {self._whose} certificate is not for {self._name}"
            except Exception as unreadable:  # what is not known to be right is wrong
                self.failure = f"name mismatch: {self._whose} certificate names nobody: {type(unreadable).__name__}"
        return not self.failure


def identity(name: str) -> DNS_ID | IPAddress_ID:
    """What a certificate must name: an IP address (brackets and zone are not in it), or a DNS name.

    :raises ValueError: it is neither.
    """
    try:
        return IPAddress_ID(str(ipaddress.ip_address(name.strip("[]").partition("%")[0])))
    except ValueError:
        pass
    try:
        return DNS_ID(name.rstrip(".").encode("idna").decode())
    except (ValueError, UnicodeError):
        raise ValueError(f"{name!r} is neither a DNS name nor an IP address") from None
