"""TLS to the VNC server, with real certificates: which are refused, what fails, and what is logged."""

import contextlib
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLContextFactory
from twisted.internet.main import CONNECTION_LOST
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides, implementer

from novnc_twisted import errors
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.session import UpstreamTLS
from novnc_twisted.session.upstream import tls
from novnc_twisted.session.upstream.tls import anonymous_context
from tests.session.upstream_tls_case import NAMED, OTHER, OURS, UpstreamCase, served
from tests.support.pki import CA, CLIENT, SERVER, Credential
from tests.support.vnc_server import FakeVNCConnection, FakeVNCServer


class Wrong(UpstreamCase):
    async def refused_for(self, certificate: Credential, *words: str, **more: Any) -> None:
        self.serve(served(certificate))
        self.front_with(**more)
        self.events.clear()
        detail = await self.detail()
        for word in words:
            self.assertIn(word, detail)

    async def test_another_ca(self) -> None:
        await self.refused_for(OTHER.issue("127.0.0.1"), "certificate verify failed", "CA is not trusted")

    async def test_another_ca_of_the_same_name(self) -> None:
        await self.refused_for(CA(key_ids=False).issue("127.0.0.1"), "certificate verify failed", "signature")

    async def test_another_ca_with_another_key_id(self) -> None:
        await self.refused_for(CA().issue("127.0.0.1"), "certificate verify failed", "not trusted")

    async def test_the_systems_trust_by_default(self) -> None:
        await self.refused_for(NAMED, "certificate verify failed", "CA is not trusted", ca_certs=None)

    async def test_another_name(self) -> None:
        await self.refused_for(OURS.issue("127.0.0.2", "localhost"), "name mismatch", "not for 127.0.0.1")
        await self.refused_for(OURS.issue("127.0.0.1"), "name mismatch", "not for compute1", server_name="compute1")

    async def test_another_compute_host(self) -> None:
        """The name of the compute host is a different one, is unknown, or is invalid."""
        for host, words in (("compute2", "not for compute2"), (None, "is unknown"), ("a b", "neither a DNS name")):
            self.info["compute_host"] = host
            await self.refused_for(OURS.issue("compute1"), words, server_name="{host}")
            self.events.clear()

    async def test_an_address_as_a_dns_name(self) -> None:
        san = x509.DNSName("127.0.0.1")
        await self.refused_for(OURS.issue(san=san), "name mismatch")

    async def test_no_name(self) -> None:
        """A common name does not count; Twisted's own check would accept it."""
        await self.refused_for(OURS.issue(common_name="127.0.0.1"), "name mismatch", "has no usable name")

    async def test_a_name_that_nobody_can_read(self) -> None:
        """Any error of service_identity counts as a mismatch."""
        san = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7"), b"\x04\x01x")
        await self.refused_for(OURS.issue(san=san), "name mismatch")

    async def test_expired(self) -> None:
        await self.refused_for(OURS.issue("127.0.0.1", days=(-5, -1)), "certificate verify failed", "has expired")

    async def test_not_yet(self) -> None:
        await self.refused_for(OURS.issue("127.0.0.1", days=(1, 5)), "certificate verify failed", "not valid yet")

    async def test_a_clients_certificate(self) -> None:
        """CVE-2025-64432: a certificate of the same CA, made for another purpose."""
        await self.refused_for(OURS.issue("127.0.0.1", purpose=CLIENT), "verify failed", "not made for servers")

    async def test_an_unknown_intermediate_ca(self) -> None:
        await self.refused_for(CA("intermediate", above=OURS).issue("127.0.0.1"), "CA is not trusted, or not known")

    async def test_an_intermediate_that_is_not_a_ca(self) -> None:
        between = CA("intermediate", above=OURS, is_ca=False)
        chain = [ssl.Certificate.loadPEM(between.pem).original]
        self.serve(served(between.issue("127.0.0.1"), chain=chain))
        self.front_with()
        self.assertIn("the VNC server's CA certificate: it is not a CA", await self.detail())

    async def test_a_ca_with_a_weak_key(self) -> None:
        weak = CA("weak CA", weak=True)
        await self.refused_for(
            weak.issue("127.0.0.1"), "the VNC server's CA certificate: its key is too weak", ca_certs=weak.pem
        )

    async def test_a_self_signed_certificate(self) -> None:
        await self.refused_for(CA().credential, "it is self-signed, and not one of the trusted certificates")

    async def test_a_unix_socket_of_another_host(self) -> None:
        tls = UpstreamTLS()
        self.assertEqual(tls.name_of(ConnectInfo(host="", port=0, socket="/x", compute_host="compute1")), "compute1")
        self.assertEqual(tls.name_of(ConnectInfo(host="10.0.0.31", port=5900)), "10.0.0.31")
        self.assertEqual(UpstreamTLS(server_name="a").name_of(ConnectInfo(host="10.0.0.31", port=5900)), "a")
        nameless = ConnectInfo(host="", port=0, socket="/x")
        error = self.assertRaises(errors.ConsoleUnreachable, tls.name_of, nameless)
        self.assertIn("set vencrypt_server_name", str(error))
        self.assertEqual(UpstreamTLS(server_name="a").name_of(nameless), "a")
        of_host = UpstreamTLS(server_name="{host}.x")
        self.assertEqual(of_host.name_of(ConnectInfo(host="10.0.0.31", port=5900, compute_host="c1")), "c1.x")
        error = self.assertRaises(errors.ConsoleUnreachable, of_host.name_of, ConnectInfo(host="10.0.0.31", port=5900))
        self.assertIn("{host}", str(error))

    async def test_a_name_that_no_certificate_can_have(self) -> None:
        """TLS is not started."""
        for name in ("", "local host", "a" * 300):
            begun = Deferred.fromCoroutine(UpstreamTLS().start(None, name))  # type: ignore[arg-type]
            failure = await self.assertFailure(begun, errors.ConsoleUnreachable)
            self.assertIn("neither a DNS name nor an IP address", failure.detail)


@implementer(IOpenSSLContextFactory)
class _Served:
    """Server-side TLS with a context that CertificateOptions cannot make."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def getContext(self) -> SSL.Context:
        return self._context


class _LeavesAfterTLS(FakeVNCServer):
    """A server that closes each connection as soon as its TLS handshake is complete."""

    def buildProtocol(self, addr: object) -> FakeVNCConnection:
        connection = super().buildProtocol(addr)
        connection.handshakeCompleted = lambda: connection.transport.loseConnection()  # type: ignore[attr-defined]
        alsoProvides(connection, IHandshakeListener)
        return connection


class Failing(UpstreamCase):
    async def test_our_certificate_is_wanted(self) -> None:
        """In TLS 1.3, our handshake ends before the server has checked our certificate."""
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            self.serve(served(NAMED, clients=OURS, lowerMaximumSecurityTo=version))
            self.front_with()
            self.events.clear()
            detail = await self.detail()
            if version is ssl.TLSVersion.TLSv1_3:
                self.assertIn("it may want a client certificate (vencrypt_client_cert), and we have none", detail)
            else:
                self.assertIn("the TLS handshake with the VNC server failed: ", detail)

    async def test_our_certificate_is_not_accepted(self) -> None:
        for ours, hint in (
            (OTHER.issue(purpose=CLIENT), "may not accept our client certificate"),
            (OURS.issue(purpose=SERVER), "may not accept our client certificate"),
            (OURS.issue(purpose=CLIENT, days=(-5, -1)), "our client certificate (vencrypt_client_cert) has expired"),
        ):
            self.serve(served(NAMED, clients=OURS))
            self.front_with(client_cert=ours.cert, client_key=ours.key)
            self.events.clear()
            self.assertIn(hint, await self.detail())

    async def test_no_guess_about_certificates_after_anonymous_tls(self) -> None:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(b"AECDH:@SECLEVEL=0")
        self.server = _LeavesAfterTLS(tls=_Served(context), subtypes=(257,), stall="result")
        self.port = self.listen(self.server)
        self.front_with(vencrypt_subtypes=("TLSNone",))
        self.assertEqual(await self.detail(), "the VNC server closed the connection")

    async def test_injected_plaintext(self) -> None:
        self.serve(served(NAMED), injected=b"\0\0\0\0" + bytes(24))
        self.front_with()
        self.assertIn("28 bytes came in clear where TLS begins", await self.detail())

    async def test_no_tls_there(self) -> None:
        self.serve(None, security_types=(19,), garbage="tls")
        self.front_with()
        self.assertRegex(await self.detail(), "in clear where TLS begins|TLS handshake with the VNC server failed: ")

    async def test_silence(self) -> None:
        self.serve(served(NAMED), stall="tls")
        self.front_with(tls_deadline=0.05)
        self.assertEqual(await self.detail(), "the VNC server did not finish the TLS handshake in time")

    async def test_hung_up(self) -> None:
        self.serve(served(NAMED), close="tls")
        self.front_with()
        self.assertRegex(await self.detail(), "the VNC server ended the TLS handshake|closed the connection")
        self.assertIsNone(CONNECTION_LOST.__traceback__, "the shared exception keeps the session in memory")

    async def test_an_old_version(self) -> None:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
        loaded = ssl.PrivateCertificate.loadPEM(NAMED.key + NAMED.cert)
        context.use_certificate(loaded.original)
        context.use_privatekey(loaded.privateKey.original)

        self.serve(_Served(context))
        self.front_with()
        self.assertRegex(await self.detail(), "the TLS handshake with the VNC server failed: .*(version|protocol)")

    async def test_the_viewer_leaves_meanwhile(self) -> None:
        self.serve(served(NAMED), stall="tls")
        self.front_with()
        viewer = await self.websocket()
        connection = await self.server.accepted.get()
        viewer.raw.transport.abortConnection()
        self.assertEqual((await self.ended())["cause"], "ClientLeft")
        await connection.gone

    async def test_no_downgrade(self) -> None:
        """If VeNCrypt fails, the proxy does not try None, which the server offers as well."""
        self.serve(served(OTHER.issue("127.0.0.1")), security_types=(1, 19))
        self.front_with(schemes=("vencrypt", "none"))
        self.assertIn("certificate verify failed", await self.detail())
        self.assertEqual([connection.chosen for connection in self.server.connections], [19])


class Credentials(SynchronousTestCase):
    """Errors in credentials are raised when the UpstreamTLS is made."""

    def wrong(self, what: str, **more: Any) -> None:
        self.assertRegex(str(self.assertRaises(ValueError, UpstreamTLS, **more)), what)

    def test_mistakes(self) -> None:
        ours, other = OURS.issue(purpose=CLIENT), OURS.issue(purpose=CLIENT)
        self.wrong("^ca_certs: no certificate", ca_certs=b"")
        self.wrong("^ca_certs: no certificate", ca_certs=ours.key)
        self.wrong("^client_cert: no certificate", client_cert=ours.key, client_key=ours.key)
        self.wrong("^client_cert: no private key", client_cert=ours.cert)
        self.wrong("^client_key: no private key", client_cert=ours.cert, client_key=ours.cert)
        self.wrong("^client_key: client_cert is missing", client_key=ours.key)
        self.wrong("^client_key: the key is not the one", client_cert=ours.cert, client_key=other.key)
        self.wrong("^server_name: 'a b' is neither", server_name="a b")
        self.wrong("^server_name: ", server_name="https://compute1")

    def test_a_key_with_a_passphrase(self) -> None:
        from cryptography.hazmat.primitives.serialization import (
            BestAvailableEncryption,
            Encoding,
            PrivateFormat,
            load_pem_private_key,
        )

        ours = OURS.issue(purpose=CLIENT)
        locked = load_pem_private_key(ours.key, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
        self.wrong("^client_key: .*passphrase", client_cert=ours.cert, client_key=locked)

    def test_no_key_in_a_repr(self) -> None:
        ours = OURS.issue(purpose=CLIENT)
        made = UpstreamTLS(client_cert=ours.cert, client_key=ours.key)
        self.assertNotIn("PRIVATE", repr((made, vars(made))))

    def test_anonymous_tls(self) -> None:
        """Anonymous TLS is available."""
        names = SSL.Connection(anonymous_context(), None).get_cipher_list()
        self.assertTrue(any(name.startswith("ADH-") for name in names))
        UpstreamTLS().prepare(("TLSNone", "X509None"))

    def test_a_certificate_that_openssl_refuses(self) -> None:
        """OpenSSL checks a certificate only when it is loaded, which must happen before the first session."""

        def load(_options: ssl.CertificateOptions) -> None:
            raise SSL.Error([("SSL routines", "", "ee key too small")])

        self.patch(ssl.CertificateOptions, "getContext", load)
        ours = OURS.issue(purpose=CLIENT)
        self.wrong("^client_cert: .*ee key too small", client_cert=ours.cert, client_key=ours.key)

    def test_what_is_loaded_early(self) -> None:
        """Contexts are made before the first session, and only for the configured sub-types."""
        loaded: list[str] = []
        self.patch(ssl.CertificateOptions, "getContext", lambda _self: loaded.append("x509"))
        self.patch(tls, "anonymous_context", lambda: loaded.append("anonymous"))
        for subtypes, expected in (
            (("X509None", "X509Vnc"), ["x509"]),
            (("TLSNone",), ["anonymous"]),
            (("TLSVnc", "X509Vnc"), ["x509", "anonymous"]),
        ):
            loaded.clear()
            UpstreamTLS(ca_certs=OURS.pem).prepare(subtypes)
            self.assertEqual(loaded, expected, subtypes)

    def test_a_machine_without_anonymous_tls(self) -> None:
        self.patch(tls, "_ANONYMOUS", b"no-such-cipher")
        error = self.assertRaises(ValueError, UpstreamTLS().prepare, ("TLSNone",))
        self.assertEqual(str(error), "this machine's OpenSSL has no anonymous TLS")

    def test_anonymous_tls_of_an_old_version(self) -> None:
        """Without certificates, TLS 1.1 is refused as well."""

        def shake_hands(version: int) -> None:
            context = SSL.Context(SSL.TLS_SERVER_METHOD)
            context.set_max_proto_version(version)
            context.set_cipher_list(b"AECDH:@SECLEVEL=0")
            ours, server = SSL.Connection(anonymous_context(), None), SSL.Connection(context, None)
            ours.set_connect_state()
            server.set_accept_state()
            for _ in range(4):
                for one, other in ((ours, server), (server, ours)):
                    with contextlib.suppress(SSL.WantReadError):
                        one.do_handshake()
                    with contextlib.suppress(SSL.WantReadError):
                        other.bio_write(one.bio_read(65536))

        shake_hands(SSL.TLS1_2_VERSION)
        self.assertRaises(SSL.Error, shake_hands, SSL.TLS1_1_VERSION)
