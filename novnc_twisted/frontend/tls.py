"""TLS for our listening ports.  Certificates and keys are read from files at the start and on each reload."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from novnc_twisted.access.pem import belong_together, certificates, private_key
from novnc_twisted.relay.loss_reasons import tls_error

MINIMA: Final = {"tlsv1_1": SSL.TLS1_1_VERSION, "tlsv1_2": SSL.TLS1_2_VERSION, "tlsv1_3": SSL.TLS1_3_VERSION}
"""nova's names of TLS versions.  The name ``default``, which is missing here, leaves the choice to OpenSSL."""

T = TypeVar("T")


class BadTLS(ValueError):
    """A file, the list of ciphers or the lowest version cannot be used.

    The text is one line with the name of the argument or option, the reason, and the file or value.
    """


@implementer(IOpenSSLServerConnectionCreator)
class FrontTLS:
    """Makes the TLS state of new connections.  A reload does not change open connections."""

    def __init__(
        self,
        cert: str,
        key: str | None = None,
        *,
        ciphers: str | None = None,
        minimum: str = "default",
        client_ca: str | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Read the files.

        :param cert: file (PEM) with the certificate, followed by intermediate certificates.
        :param key: file with the certificate's key; None: the key is in the file ``cert``.
        :param ciphers: the ciphers for TLS 1.2 and older, as an OpenSSL cipher list; None: OpenSSL's default.
        :param minimum: the lowest TLS version, ``default`` or one of :data:`MINIMA`.
        :param client_ca: file (PEM) with certificates of CAs; every client must show a certificate issued by one of
            these CAs.  None: no client is asked for a certificate.
        :param names: argument -> name of the option that sets it, for errors; default: the argument's own name.
        :raises BadTLS: a file, the list of ciphers or the lowest version cannot be used.
        """
        self._files = {"cert": cert, "key": key or cert, "client_ca": client_ca}
        self._names = {name: name for name in ("ciphers", "minimum", *self._files)} | dict(names or {})
        if minimum not in ("default", *MINIMA):
            known = ", ".join(("default", *MINIMA))
            raise BadTLS(f"{self._names['minimum']}: {minimum} is not one of {known}")
        if key is None:
            self._names["key"] = self._names["cert"]
        self._ciphers, self._minimum = ciphers, minimum
        self._context = self._read()

    def reload(self) -> None:
        """Read the files again, and use the new content for new connections.

        :raises BadTLS: a file cannot be used, so nothing has changed.
        """
        self.renewal()()

    def renewal(self) -> Callable[[], None]:
        """Read the files again, without using them yet.

        :return: a function that puts the new content into use.
        :raises BadTLS: a file cannot be used.
        """
        # All checks are done here, and use() cannot fail.  A caller with several certificates calls renewal() of each
        # before the first use(), so that all of them change or none.
        context = self._read()

        def use() -> None:
            self._context = context

        return use

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """See IOpenSSLServerConnectionCreator."""
        return SSL.Connection(self._context, None)

    def _read(self) -> SSL.Context:
        chain = self._pem("cert", certificates)
        key = self._pem("key", private_key)
        if not belong_together(chain[0], key):
            raise self._bad("key", "the key is not the one of the certificate")
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        # Compression would allow the CRIME attack.  Renegotiation would allow a client to waste our CPU time.
        context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # saves 34 KiB for each silent connection
        context.set_session_id(b"novnc_twisted")  # without an id, resumption fails if client certificates are required
        if self._minimum in MINIMA:
            context.set_min_proto_version(MINIMA[self._minimum])
        if self._ciphers:
            try:
                context.set_cipher_list(self._ciphers.encode())
            except (SSL.Error, UnicodeError):
                name = self._names["ciphers"]
                raise BadTLS(f"{name}: OpenSSL knows no such ciphers: {self._ciphers}") from None
        try:
            context.use_certificate(chain[0])
            for certificate in chain[1:]:
                context.add_extra_chain_cert(certificate)
            context.use_privatekey(key)
        except (SSL.Error, TypeError, ValueError) as error:
            raise self._bad("cert", tls_error(error) if isinstance(error, SSL.Error) else str(error)) from None
        if self._files["client_ca"]:
            self._ask_clients(context)
        return context

    def _ask_clients(self, context: SSL.Context) -> None:
        store = context.get_cert_store()
        for authority in self._pem("client_ca", certificates):
            if store is not None:
                store.add_cert(crypto.X509.from_cryptography(authority))
            # Clients get the list of CAs, so that a browser offers only certificates that can be accepted.
            context.add_client_ca(authority)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)

    def _pem(self, argument: str, parse: Callable[[bytes], T]) -> T:
        return read_pem(self._names[argument], str(self._files[argument]), parse)

    def _bad(self, argument: str, why: str) -> BadTLS:
        return BadTLS(f"{self._names[argument]}: {why} ({self._files[argument]})")


def read_pem(name: str, path: str, parse: Callable[[bytes], T]) -> T:
    """Read and parse a file.

    :param name: the option's name, for the error.
    :raises BadTLS: the file cannot be read, or its content is wrong.
    """
    try:
        return parse(Path(path).read_bytes())
    except OSError as error:
        raise BadTLS(f"{name}: can't read {path}: {error.strerror}") from None
    except ValueError as error:
        raise BadTLS(f"{name}: {error} ({path})") from None
