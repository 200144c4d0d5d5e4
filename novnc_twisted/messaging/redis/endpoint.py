"""The endpoint for a Redis URL: TCP, unix socket, TLS, or the primary that Sentinels name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    TLSVersion,
    platformTrust,
    trustRootFromCertificates,
)
from zope.interface import implementer

from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError, RedisProtocol
from novnc_twisted.messaging.redis.reasons import NoPrimary, Untrusted
from novnc_twisted.messaging.redis_url import RedisURL
from novnc_twisted.messaging.waiting import within
from novnc_twisted.tls import ServerCheck, identity

CONNECT_TIMEOUT = 3.0
"""Seconds for the TLS handshake (if any) and the log-in together (:func:`.login.in_time`).

Connecting to a unix socket has the same limit.  For all steps before the TLS handshake (asking the Sentinels, looking
up the name, connecting), :class:`.Link` allows twice this time in total.
"""

ANSWER_TIMEOUT = 0.5
"""Seconds to connect to one address by TCP.

The limit is short, because the kernel repeats an unanswered SYN packet at longer and longer intervals.  A new attempt
sends one at once, and so notices earlier that the network works again.
"""

ASK_TIMEOUT = 1.0
"""Seconds to connect to one Sentinel and get its answer.  If this takes longer, the next Sentinel is asked."""

_OF_SENTINELS = {"NOAUTH": "SENTINELAUTH", "UNKNOWN": "NOSENTINEL"}
"""Error code of the answer to the command ``SENTINEL`` -> the code in :mod:`.reasons`.

A server that does not know this command is not a Sentinel.  In answers to other commands, these codes have other
meanings.
"""

_FACTORY = Factory.forProtocol(RedisProtocol)
_FACTORY.noisy = False  # otherwise the factory would log two lines for each attempt

_END = b"-----END CERTIFICATE-----"


def endpoint_of(reactor: Any, address: RedisURL) -> IStreamClientEndpoint:
    """Return the endpoint for an address.  Over TLS, the endpoint verifies the server's certificate and name.

    :raises ValueError: a file of the URL cannot be read or used, or the server name is invalid.  The text is one
        sentence for the user.
    """
    if address.path is not None:
        return UNIXClientEndpoint(reactor, address.path, timeout=CONNECT_TIMEOUT)
    secured = _secured(address)

    def endpoint(host: str, port: int) -> IStreamClientEndpoint:
        return secured(host, HostnameEndpoint(reactor, host, port, timeout=ANSWER_TIMEOUT))

    if address.sentinels:
        return _SentinelEndpoint(reactor, address, endpoint)
    return endpoint(address.host, address.port)


@implementer(IStreamClientEndpoint)
class _SentinelEndpoint:
    """Connects to the primary that a Sentinel names.  The Sentinels are asked again for each connection.

    The Sentinel that named the primary most recently is asked first, so that a dead Sentinel does not delay every
    connection.  If the URL asks for TLS, the connections to the Sentinels use TLS too.
    """

    def __init__(self, reactor: Any, address: RedisURL, endpoint: Callable[[str, int], IStreamClientEndpoint]) -> None:
        self._reactor = reactor
        self._address = address
        self._endpoint = endpoint
        self._sentinels = list(address.sentinels)

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        """See IStreamClientEndpoint."""

        async def connect() -> IProtocol:
            failed: Exception = NoPrimary(f"no Sentinel knows {self._address.service}")
            for host, port in list(self._sentinels):
                try:
                    primary = await within(Deferred.fromCoroutine(self._ask(host, port)), ASK_TIMEOUT, self._reactor)
                    # Put this Sentinel first.  The sort keeps the order of the others.
                    self._sentinels.sort(key=lambda one: one != (host, port))
                    protocol: Any = await self._endpoint(*primary).connect(factory)
                    protocol.primary = primary
                    return protocol  # type: ignore[no-any-return]
                except CancelledError:
                    # The caller cancelled the attempt, so do not ask another Sentinel.
                    raise
                except Exception as error:
                    # Report the last error, but prefer a wrong certificate: it explains more than a dead Sentinel.
                    if not isinstance(failed, Untrusted):
                        failed = error
            raise failed

        return Deferred.fromCoroutine(connect())

    async def moved(self, protocol: RedisProtocol) -> bool:
        """Ask the Sentinels for the primary; return whether it is another server than the one of this connection.

        The answer of the first Sentinel that answers is used.  If none answers, return False.
        """
        for host, port in list(self._sentinels):
            try:
                named = await within(Deferred.fromCoroutine(self._ask(host, port)), ASK_TIMEOUT, self._reactor)
            except CancelledError:
                raise
            except Exception:  # noqa: S112
                # Ask the next Sentinel.  The error is not logged here, because the connection to Redis may still work.
                # When that connection ends, Link calls connect(), which asks the Sentinels again.  If connect() fails,
                # Link logs the reason.
                continue
            return named != protocol.primary
        return False

    async def _ask(self, host: str, port: int) -> tuple[str, int]:
        sentinel: Any = await self._endpoint(host, port).connect(_FACTORY)
        try:
            named = await sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.service)
        except RedisError as error:
            raise RedisError(_OF_SENTINELS.get(error.code, error.code)) from None
        except ConnectionGone:
            # ConnectionGone does not contain the reason of the loss.  The protocol's Deferred ``lost`` fires with the
            # reason.  If the connection is not closed yet, abortConnection() closes it, so that ``lost`` fires.
            sentinel.transport.abortConnection()
            raise await sentinel.lost from None
        finally:
            sentinel.transport.abortConnection()
        if named is None:
            raise NoPrimary(f"a Sentinel does not know {self._address.service}")
        return str(named[0]), int(named[1])


def _secured(address: RedisURL) -> Callable[[str, IStreamClientEndpoint], IStreamClientEndpoint]:
    """Return a function that adds TLS to the endpoint of a host, if the URL asks for it."""
    if not address.tls:
        return lambda host, endpoint: endpoint
    if address.server_name is not None:
        try:
            identity(address.server_name)
        except ValueError as error:
            raise ValueError(f"server_name of the URL: {error}") from None
    trust = platformTrust() if address.ca is None else trustRootFromCertificates(_certificates("ca", address.ca))
    ours: dict[str, Any] = {}
    if address.cert is not None:
        chain = _certificates("cert", address.cert)
        own = PrivateCertificate.fromCertificateAndKeyPair(chain[0], _key(address.key or address.cert, chain[0]))
        ours = {"privateKey": own.privateKey.original, "certificate": own.original}
        ours["extraCertChain"] = [certificate.original for certificate in chain[1:]]
    options = CertificateOptions(trustRoot=trust, raiseMinimumTo=TLSVersion.TLSv1_2, **ours)
    return lambda host, endpoint: _NamedEndpoint(options, address.server_name or host, endpoint)


@implementer(IStreamClientEndpoint)
class _NamedEndpoint:
    """Connects with TLS.  If the server's certificate is wrong, the protocol's ``lost`` fires with Untrusted."""

    def __init__(self, options: CertificateOptions, name: str, endpoint: IStreamClientEndpoint) -> None:
        self._options, self._name, self._endpoint = options, name, endpoint

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        """See IStreamClientEndpoint.  The Deferred fires before the TLS handshake; data is sent after the handshake."""
        check = ServerCheck(self._options, self._name)

        def watch(protocol: Any) -> IProtocol:
            protocol.lost.addCallback(lambda reason: Untrusted(check.failure) if check.failure else reason)
            return protocol  # type: ignore[no-any-return]

        connecting: Deferred[IProtocol] = wrapClientTLS(check, self._endpoint).connect(factory)
        return connecting.addCallback(watch)


def _read(what: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ValueError(f"{what}={file} cannot be read: {error.strerror}") from None


def _certificates(what: str, file: str) -> list[Certificate]:
    pem = _read(what, file)
    try:
        # loadPEM reads the first certificate only, so the chain is split here.
        found = [Certificate.loadPEM(part + _END) for part in pem.split(_END)[:-1]]
    except (crypto.Error, ValueError):
        found = []
    if not found:
        raise ValueError(f"{what}={file} contains no certificate in PEM format")
    return found


def _key(file: str, certificate: Certificate) -> KeyPair:
    pem = _read("key", file)
    try:
        # With an empty passphrase, OpenSSL fails for an encrypted key.  Without the argument ``passphrase``, OpenSSL
        # would ask for the passphrase on the terminal.
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, pem, passphrase=b"")
        context = SSL.Context(SSL.TLS_METHOD)
        context.use_certificate(certificate.original)
        context.use_privatekey(key)
        # Check the key with a temporary context; otherwise a wrong key would be noticed only at the first connection.
        context.check_privatekey()
    except (crypto.Error, SSL.Error, ValueError, TypeError):
        raise ValueError(f"key={file} must be the private key of cert, in PEM format and not encrypted") from None
    return KeyPair(key)
