"""TLS to VNC servers (VeNCrypt): the trusted CAs, our certificate, and the check of the server's certificate."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from novnc_twisted.access.pem import belong_together, certificates, private_key
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.relay.loss_reasons import tls_error
from novnc_twisted.rfb.security.vencrypt import SUBTYPES
from novnc_twisted.session.upstream.end import UpstreamEnd
from novnc_twisted.tls import ServerCheck, identity

S = TypeVar("S")
T = TypeVar("T")

_HOST: Final = "{host}"
"""In ``server_name``, stands for the compute host of the server (``ConnectInfo.compute_host``)."""

# Ciphers without certificates.  OpenSSL 3 allows them at security level 0 only; TLS 1.3 has none.
_ANONYMOUS = b"ADH+AESGCM:ADH+AES:AECDH+AES:@SECLEVEL=0"


class UpstreamTLS:
    """Credentials for TLS in VeNCrypt.  PEM parameters are contents as bytes, not paths.

    :ivar server_name: the name that every VNC server's certificate must have; None: see ``name_of``.  ``{host}`` in
        the name stands for the compute host.
    """

    def __init__(
        self,
        *,
        ca_certs: bytes | None = None,
        client_cert: bytes | None = None,
        client_key: bytes | None = None,
        server_name: str | None = None,
    ) -> None:
        """Check the credentials.

        :param ca_certs: certificates (PEM) of the CAs that are trusted for VNC servers; None: the system's CAs.
        :param client_cert: our certificate and its intermediate certificates (PEM); None: we send no certificate.
        :param client_key: the key of ``client_cert`` (PEM, without a passphrase); None: ``client_cert`` contains it.
        :param server_name: a DNS name or an IP address to expect instead of the address of the connection.  ``{host}``
            in the name stands for the compute host of the server.
        :raises ValueError: with the parameter's name and what is wrong with it.
        """
        self.server_name = server_name
        self._authorities: list[Certificate] | None = None
        self._chain: list[Certificate] = []
        self._key: Any = None
        if server_name is not None:
            _named("server_name", identity, server_name.replace(_HOST, "host"))
        if ca_certs is not None:
            self._authorities = _named("ca_certs", certificates, ca_certs)
        if client_cert is not None:
            self._chain = _named("client_cert", certificates, client_cert)
            what = "client_key" if client_key is not None else "client_cert"
            self._key = _named(what, private_key, client_key if client_key is not None else client_cert)
            if not belong_together(self._chain[0], self._key):
                raise ValueError(f"{what}: the key is not the one of the certificate")
        elif client_key is not None:
            raise ValueError("client_key: client_cert is missing; give both, or neither")
        if client_cert is not None:
            try:
                # OpenSSL checks the certificate (key size, signature) only when it is loaded.  Load it now, so that an
                # error shows at the start, not in a session.
                self._options.getContext()
            except SSL.Error as error:
                raise ValueError(f"client_cert: {tls_error(error)}") from None

    def renew(self, other: "UpstreamTLS") -> None:
        """Use the credentials of another object for handshakes that begin from now on."""
        # Renewed in place: the settings of running sessions refer to this object.
        self.server_name, self._authorities = other.server_name, other._authorities
        self._chain, self._key, self._options = other._chain, other._key, other._options

    def prepare(self, subtypes: Sequence[str]) -> None:
        """Check that OpenSSL supports these sub-types of VeNCrypt.

        If one of them uses certificates, also make the TLS context, so that the first session does not wait for it.

        :raises ValueError: this machine's OpenSSL does not support one of them.
        """
        if any(SUBTYPES[name][1] for name in subtypes):
            self._options.getContext()
        if not all(SUBTYPES[name][1] for name in subtypes):
            anonymous_context()

    @cached_property
    def _options(self) -> ssl.CertificateOptions:
        """The TLS options: one context for all servers.  The name to expect is set on each connection."""
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
        """Return the name that the VNC server's certificate must have.

        This is ``server_name`` if it is set, else the host name or address that was dialed.  A unix socket has
        neither, so the compute host is used instead.

        :raises ConsoleUnreachable: the name depends on the compute host, which is unknown: ``server_name`` contains
            ``{host}``, or ``server_name`` is not set and the server has a unix socket.
        """
        if self.server_name is None:
            if not info.socket:
                return info.host
            if info.compute_host:
                return info.compute_host
            raise ConsoleUnreachable(
                "the VNC server's certificate cannot be checked: the server has a unix socket, and its compute host is "
                "unknown; set vencrypt_server_name"
            )
        if _HOST in self.server_name and not info.compute_host:
            raise ConsoleUnreachable(
                f"the VNC server's certificate cannot be checked: vencrypt_server_name has {_HOST}, but the compute "
                "host of the server is unknown; with backend nova, the proxy needs the right to read servers"
            )
        return self.server_name.replace(_HOST, info.compute_host or "")

    async def start(self, end: UpstreamEnd, name: str | None) -> None:
        """Start TLS on a connection; return when TLS is established and the server's certificate has been verified.

        :param name: the name that the certificate must have; None: anonymous TLS, which verifies nothing.
        :raises ConsoleUnreachable: the handshake or the verification failed; the detail has the reason.
        """
        try:
            check = _Anonymous() if name is None else ServerCheck(self._options, name, "the VNC server's")
        except ValueError as error:
            raise ConsoleUnreachable(f"the VNC server's certificate cannot be checked: {error}") from None
        try:
            await end.start_tls(check)
        except SSL.Error as error:
            raise ConsoleUnreachable(
                check.failure or f"the TLS handshake with the VNC server failed: {tls_error(error)}"
            ) from None
        except Exception as error:  # any loss of the connection
            # Twisted shares one exception object among connections: its traceback would keep this connection in memory.
            error.__traceback__ = None
            raise ConsoleUnreachable(
                check.failure or f"the VNC server ended the TLS handshake ({type(error).__name__})"
            ) from None

    @property
    def suspicion(self) -> str:
        """A guess why a server closed the connection right after the TLS handshake.

        The server may reject our certificate, or require one although we have none.
        """
        if not self._chain:
            return "it may want a client certificate (vencrypt_client_cert), and we have none"
        if self._chain[0].not_valid_after_utc < datetime.now(UTC):
            return "our client certificate (vencrypt_client_cert) has expired"
        return "it may not accept our client certificate (vencrypt_client_cert)"


@implementer(IOpenSSLClientConnectionCreator)
class _Anonymous:
    """One TLS handshake without certificates: it protects against eavesdropping, but does not verify the server."""

    failure = ""

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Return a connection that verifies nothing."""
        return SSL.Connection(anonymous_context(), None)


def anonymous_context() -> SSL.Context:
    """Return a context for TLS without certificates.

    :raises ValueError: this machine's OpenSSL does not support it.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    # TLS 1.3 has no anonymous ciphers, so a handshake that chose it would fail.
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    try:
        context.set_cipher_list(_ANONYMOUS)
    except SSL.Error:
        raise ValueError("this machine's OpenSSL has no anonymous TLS") from None
    return context


def _named(what: str, read: Callable[[S], T], given: S) -> T:
    try:
        return read(given)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
