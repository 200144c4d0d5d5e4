"""Checks that a TLS server's certificate is trusted and has the expected name, for connections that we make.

Twisted's ``optionsForClientTLS`` is not used.  If service_identity cannot read a certificate, for example because the
certificate has no subjectAltName, ``optionsForClientTLS`` only logs this and accepts the certificate (seen with Twisted
26.10).  Here, such a certificate is refused.
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
    18: "it is self-signed, and not one of the trusted certificates",
    19: "its CA is not trusted",
    20: "its CA is not trusted, or not known",
    21: "its CA is not trusted, or not known",
    23: "it was revoked",
    26: "it is not made for servers",
    66: "its key is too weak",
    67: "its key is too weak",
    68: "its digest is too weak",
    79: "it is not a CA",
}
"""Code X509_V_ERR_... of OpenSSL 3 -> a clause about the certificate.  Only codes that occur in practice."""


@implementer(IOpenSSLClientConnectionCreator)
class ServerCheck:
    """Checks in one TLS handshake that the server's certificate is trusted, and is for a given name.

    :ivar failure: why the certificate was refused, as a clause for the log; empty if no certificate was refused.
    """

    def __init__(self, options: CertificateOptions, name: str, whose: str = "the server's") -> None:
        """Prepare the check of one connection.

        :param options: the trusted CAs and our own certificate; shared by many connections.
        :param name: a DNS name or an IP address.
        :param whose: the owner of the certificate in the text of ``failure``, such as "the VNC server's".
        :raises ValueError: the name is neither a DNS name nor an IP address.
        """
        self.failure = ""
        self._options, self._name, self._whose = options, name, whose
        self._identity = identity(name)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Return an OpenSSL connection that checks the certificate."""
        connection = self._options.clientConnectionForTLS(tlsProtocol)
        if isinstance(self._identity, DNS_ID):
            # Server name indication is for host names only, not for addresses (RFC 6066, section 3).
            connection.set_tlsext_host_name(self._identity.hostname)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        return connection

    def _verify(self, _connection: SSL.Connection, certificate: Any, error: int, depth: int, ok: int) -> bool:
        """Check one certificate.  OpenSSL calls this method for each certificate of the chain, and for each error.

        :return: False ends the handshake.
        """
        if not ok:
            which = "certificate" if depth == 0 else "CA certificate"
            self.failure = f"certificate verify failed: {self._whose} {which}: {_WHY.get(error, f'error {error}')}"
            return False
        if depth == 0:
            try:
                verify_service_identity(extract_patterns(certificate.to_cryptography()), [self._identity], [])
            except VerificationError:
                self.failure = f"name mismatch: {self._whose} certificate is not for {self._name}"
            except Exception as unreadable:  # refuse a certificate that cannot be read
                self.failure = (
                    f"name mismatch: {self._whose} certificate has no usable name: {type(unreadable).__name__}"
                )
        return not self.failure


def identity(name: str) -> DNS_ID | IPAddress_ID:
    """Return the identity that a certificate must have: an IP address (without brackets and zone) or a DNS name.

    :raises ValueError: the name is neither a DNS name nor an IP address.
    """
    try:
        return IPAddress_ID(str(ipaddress.ip_address(name.strip("[]").partition("%")[0])))
    except ValueError:
        pass
    try:
        return DNS_ID(name.rstrip(".").encode("idna").decode())
    except (ValueError, UnicodeError):
        raise ValueError(f"{name!r} is neither a DNS name nor an IP address") from None
