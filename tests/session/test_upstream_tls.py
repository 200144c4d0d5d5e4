"""TLS to the VNC server, with real certificates: which are accepted, which are refused, and what is logged."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.main import CONNECTION_LOST
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from novnc_twisted import errors
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.relay.stream_end import StreamEnd
from novnc_twisted.session import UpstreamTLS
from novnc_twisted.session.upstream.tls import anonymous_context
from tests.session.harness import FrontCase, introduce, refused
from tests.support.pki import CA, CLIENT, SERVER, Credential
from tests.support.vnc_server import FakeVNCServer

OURS, OTHER = CA(), CA("another CA")
NAMED = OURS.issue("127.0.0.1", "localhost", "compute1")


def served(credential: Credential, clients: CA | None = None, **more: Any) -> ssl.CertificateOptions:
    """What a server needs for TLS.

    :param clients: whose clients it takes; None: anybody.
    """
    loaded = ssl.PrivateCertificate.loadPEM(credential.key + credential.cert)
    if clients is not None:
        more["trustRoot"] = ssl.Certificate.loadPEM(clients.pem)
    return ssl.CertificateOptions(
        privateKey=loaded.privateKey.original, certificate=loaded.original, extraCertChain=more.pop("chain", []), **more
    )


class UpstreamCase(FrontCase):
    """A front before a VNC server that wants TLS."""

    def serve(self, tls: Any, **knobs: Any) -> FakeVNCServer:
        self.server = FakeVNCServer(tls=tls, **knobs)
        self.port = self.listen(self.server)
        return self.server

    def front_with(self, *, schemes: tuple[str, ...] = ("vencrypt",), **more: Any) -> None:
        settings = {name: more.pop(name) for name in ("vencrypt_subtypes", "tls_deadline") if name in more}
        more.setdefault("ca_certs", OURS.pem)
        tls = self.tls = UpstreamTLS(**more)

        async def password(*_: str) -> str:
            return "secret"

        self.novnc(
            settings=self.settings(auth_schemes=schemes, upstream_tls=tls, host="compute1", **settings),
            ask_password=password,
        )

    async def lives(self) -> None:
        """The viewer gets a session, knows nothing of TLS, and its keys arrive."""
        viewer = await self.websocket()
        self.assertEqual(await introduce(viewer), (64, 48, "myserver20"))
        connection = await self.server.live.get()
        self.assertTrue(connection.transport.TLS)
        viewer.write(b"\3\0" + b"\0\0\0\0\0\2\0\2")
        self.assertEqual(await connection.inbox.get(), (3, b"\3\0" + b"\0\0\0\0\0\2\0\2"))
        self.assertEqual(len(await viewer.read(16 + 16)), 32)
        viewer.raw.transport.loseConnection()
        self.assertEqual((await self.ended())["cause"], "ClientLeft")
        await connection.gone
        self.assertNotIn("Traceback", self.log_text())
        self.assertNotIn("secret", self.log_text())

    async def detail(self) -> str:
        """The log contains the reason of the refusal; the viewer receives only the usual sentence."""
        viewer = await self.websocket()
        sentence = errors.ConsoleUnreachable.sentence
        self.assertEqual(await refused(viewer), sentence)
        self.assertEqual(await viewer.until_closed(), (4502, sentence))
        record = await self.ended()
        self.assertEqual((record["cause"], record["phase"]), ("ConsoleUnreachable", "login"))
        self.assertEqual([event for event in self.events if "log_failure" in event], [])
        self.assertIsNone(self.server.connections[0].shared, "nothing was said to a server that is not the one")
        return str(record["detail"])


class Right(UpstreamCase):
    async def test_an_address(self) -> None:
        self.serve(served(NAMED))
        self.front_with()
        await self.lives()

    async def test_a_host_name(self) -> None:
        self.serve(served(OURS.issue("localhost")))
        self.info["host"] = "localhost"
        self.front_with()
        await self.lives()

    async def test_a_wildcard(self) -> None:
        self.serve(served(OURS.issue("*.example.org")))
        self.front_with(server_name="compute1.example.org")
        await self.lives()

    async def test_a_name_that_is_configured(self) -> None:
        for name in ("compute1", "COMPUTE1.", "192.0.2.7", "2001:db8::7", "[2001:db8::7]"):
            self.serve(served(OURS.issue("compute1", "192.0.2.7", "2001:db8::7")))
            self.front_with(server_name=name)
            self.events.clear()
            await self.lives()

    async def test_the_name_of_the_compute_host(self) -> None:
        """An address is dialled, and certificates have the names of compute hosts, as in an OpenStack."""
        self.info["compute_host"] = "compute1"
        for name, template in (("compute1", "{host}"), ("compute1.example.org", "{host}.example.org")):
            self.serve(served(OURS.issue(name)))
            self.front_with(server_name=template)
            self.events.clear()
            await self.lives()

    async def test_a_password_inside(self) -> None:
        self.serve(served(NAMED), password="secret")
        self.front_with()
        await self.lives()
        self.assertEqual(self.server.connections[0].subtype, 261)

    async def test_an_intermediate_ca(self) -> None:
        between = CA("intermediate", above=OURS)
        chain = [ssl.Certificate.loadPEM(between.pem).original]
        self.serve(served(between.issue("127.0.0.1"), chain=chain))
        self.front_with()
        await self.lives()

    async def test_several_trusted(self) -> None:
        self.serve(served(NAMED))
        self.front_with(ca_certs=b"comment\n" + OTHER.pem + OURS.pem)
        await self.lives()

    async def test_tls_1_2(self) -> None:
        self.serve(served(NAMED, lowerMaximumSecurityTo=ssl.TLSVersion.TLSv1_2))
        self.front_with()
        await self.lives()

    async def test_our_certificate(self) -> None:
        ours = OURS.issue(purpose=CLIENT)
        for files in ({"client_cert": ours.cert, "client_key": ours.key}, {"client_cert": ours.key + ours.cert}):
            self.serve(served(NAMED, clients=OURS))
            self.front_with(**files)
            self.events.clear()
            await self.lives()

    async def test_renewed(self) -> None:
        """One and the same front: the CA, and what is shown to the server, are others from now on."""
        other = CA()
        self.serve(served(other.issue("127.0.0.1"), clients=other))
        self.front_with()
        await self.detail()
        ours = other.issue(purpose=CLIENT)
        self.tls.renew(UpstreamTLS(ca_certs=other.pem, client_cert=ours.cert, client_key=ours.key))
        self.events.clear()
        await self.lives()

    async def test_our_certificate_with_its_chain(self) -> None:
        between = CA("intermediate", above=OURS)
        ours = between.issue(purpose=CLIENT)
        self.serve(served(NAMED, clients=OURS))
        self.front_with(client_cert=ours.cert + between.pem, client_key=ours.key)
        await self.lives()

    async def test_a_unix_socket(self) -> None:
        """It has no address: the compute host's name is what must be in the certificate."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = str(Path(folder) / "vnc.sock")
        for certificate, server_name in (
            (OURS.issue("compute1"), None),
            (OURS.issue("vnc.example.org"), "vnc.example.org"),
        ):
            self.server = FakeVNCServer(tls=served(certificate))
            port = reactor.listenUNIX(path, self.server)  # type: ignore[attr-defined]
            self.info = {"socket": path, "host": "", "port": 0, "compute_host": "compute1"}
            tls = UpstreamTLS(ca_certs=OURS.pem, server_name=server_name)
            self.novnc(
                settings=self.settings(
                    auth_schemes=("vencrypt",), upstream_tls=tls, host="compute1", socket_directories=(folder,)
                )
            )
            self.events.clear()
            await self.lives()
            await port.stopListening()

    async def test_back_pressure(self) -> None:
        """A VNC server that stops to read: nothing more is taken from its viewer; and the detached relay keeps off."""
        paused: Deferred[StreamEnd] = Deferred()
        pause = StreamEnd.pause_reading

        def pausing(end: StreamEnd) -> None:
            pause(end)
            if not paused.called:
                paused.callback(end)

        self.patch(StreamEnd, "pause_reading", pausing)
        server = self.serve(served(NAMED), deaf=True)
        self.front_with()
        viewer = await self.websocket()
        await introduce(viewer)
        connection = await server.live.get()
        sent = 4 << 20
        for _ in range(4):
            viewer.write((b"\3\1" + bytes(8)) * ((1 << 20) // 10))
        end = await paused
        self.assertLess(end.bytes_in, sent)
        (session,) = self.front.registry
        self.assertFalse(session.upstream.can_leave())
        self.front.stop_sessions()  # what hangs is given up
        self.assertEqual((await self.ended())["cause"], "Stopping")
        connection.transport.abortConnection()  # a deaf one does not notice

    async def test_our_order(self) -> None:
        """VeNCrypt where it is, though the server lists None first; None where the operator prefers it."""
        for schemes, chosen in ((("vencrypt", "none"), 19), (("none", "vencrypt"), 1)):
            self.serve(served(NAMED), security_types=(1, 19))
            self.front_with(schemes=schemes)
            viewer = await self.websocket()
            await introduce(viewer)
            self.assertEqual((await self.server.live.get()).chosen, chosen)


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
        """A compute host of another name, of none, and of one that is no name."""
        for host, words in (("compute2", "not for compute2"), (None, "is unknown"), ("a b", "neither a DNS name")):
            self.info["compute_host"] = host
            await self.refused_for(OURS.issue("compute1"), words, server_name="{host}")
            self.events.clear()

    async def test_an_address_as_a_dns_name(self) -> None:
        san = x509.DNSName("127.0.0.1")
        await self.refused_for(OURS.issue(san=san), "name mismatch")

    async def test_no_name(self) -> None:
        """A common name does not count; Twisted's own check would accept it."""
        await self.refused_for(OURS.issue(common_name="127.0.0.1"), "name mismatch", "names nobody")

    async def test_a_name_that_nobody_can_read(self) -> None:
        """Whatever service_identity makes of it: not known to be right."""
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

    async def test_a_unix_socket_of_another_host(self) -> None:
        tls = UpstreamTLS()
        self.assertEqual(tls.name_of(ConnectInfo(host="", port=0, socket="/x", compute_host="compute1")), "compute1")
        self.assertEqual(tls.name_of(ConnectInfo(host="10.0.0.31", port=5900)), "10.0.0.31")
        self.assertEqual(UpstreamTLS(server_name="a").name_of(ConnectInfo(host="10.0.0.31", port=5900)), "a")
        of_host = UpstreamTLS(server_name="{host}.x")
        self.assertEqual(of_host.name_of(ConnectInfo(host="10.0.0.31", port=5900, compute_host="c1")), "c1.x")
        error = self.assertRaises(errors.ConsoleUnreachable, of_host.name_of, ConnectInfo(host="10.0.0.31", port=5900))
        self.assertIn("{host}", str(error))

    async def test_a_name_that_no_certificate_can_have(self) -> None:
        """Nothing is begun."""
        for name in ("", "local host", "a" * 300):
            begun = Deferred.fromCoroutine(UpstreamTLS().start(None, name))  # type: ignore[arg-type]
            failure = await self.assertFailure(begun, errors.ConsoleUnreachable)
            self.assertIn("neither a DNS name nor an IP address", failure.detail)


class Failing(UpstreamCase):
    async def test_our_certificate_is_wanted(self) -> None:
        """TLS 1.3 has it that we are done before the server has looked."""
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            self.serve(served(NAMED, clients=OURS, lowerMaximumSecurityTo=version))
            self.front_with()
            self.events.clear()
            detail = await self.detail()
            if version is ssl.TLSVersion.TLSv1_3:
                self.assertIn("it may want a client certificate (vencrypt_client_cert), and we have none", detail)
            else:
                self.assertIn("the TLS handshake with the VNC server failed: TLS:", detail)

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

    async def test_injected_plaintext(self) -> None:
        self.serve(served(NAMED), injected=b"\0\0\0\0" + bytes(24))
        self.front_with()
        self.assertIn("28 bytes came in clear where TLS begins", await self.detail())

    async def test_no_tls_there(self) -> None:
        self.serve(None, security_types=(19,), garbage="tls")
        self.front_with()
        self.assertRegex(
            await self.detail(), "in clear where TLS begins|TLS handshake with the VNC server failed: TLS: "
        )

    async def test_silence(self) -> None:
        self.serve(served(NAMED), stall="tls")
        self.front_with(tls_deadline=0.05)
        self.assertEqual(await self.detail(), "the VNC server did not finish the TLS handshake in time")

    async def test_hung_up(self) -> None:
        self.serve(served(NAMED), close="tls")
        self.front_with()
        self.assertRegex(await self.detail(), "the VNC server ended the TLS handshake|closed the connection")
        self.assertIsNone(CONNECTION_LOST.__traceback__, "the one object of that kind keeps nothing of the session")

    async def test_an_old_version(self) -> None:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
        loaded = ssl.PrivateCertificate.loadPEM(NAMED.key + NAMED.cert)
        context.use_certificate(loaded.original)
        context.use_privatekey(loaded.privateKey.original)

        @implementer(IOpenSSLContextFactory)
        class Old:
            def getContext(self) -> SSL.Context:
                return context

        self.serve(Old())
        self.front_with()
        self.assertRegex(await self.detail(), "the TLS handshake with the VNC server failed: TLS: .*(version|protocol)")

    async def test_the_viewer_leaves_meanwhile(self) -> None:
        self.serve(served(NAMED), stall="tls")
        self.front_with()
        viewer = await self.websocket()
        connection = await self.server.accepted.get()
        viewer.raw.transport.abortConnection()
        self.assertEqual((await self.ended())["cause"], "ClientLeft")
        await connection.gone

    async def test_no_downgrade(self) -> None:
        """A server that offers VeNCrypt and fails it is not asked for None."""
        self.serve(served(OTHER.issue("127.0.0.1")), security_types=(1, 19))
        self.front_with(schemes=("vencrypt", "none"))
        self.assertIn("certificate verify failed", await self.detail())
        self.assertEqual([connection.chosen for connection in self.server.connections], [19])


class Credentials(SynchronousTestCase):
    """What is wrong with them is said when they are made."""

    def wrong(self, what: str, **more: Any) -> None:
        self.assertRegex(str(self.assertRaises(ValueError, UpstreamTLS, **more)), what)

    def test_mistakes(self) -> None:
        ours, other = OURS.issue(purpose=CLIENT), OURS.issue(purpose=CLIENT)
        self.wrong("^ca_certs: no certificate", ca_certs=b"")
        self.wrong("^ca_certs: no certificate", ca_certs=ours.key)
        self.wrong("^client_cert: no certificate", client_cert=ours.key, client_key=ours.key)
        self.wrong("^client_cert: no private key", client_cert=ours.cert)
        self.wrong("^client_key: no private key", client_cert=ours.cert, client_key=ours.cert)
        self.wrong("^client_key: there is no client_cert", client_key=ours.key)
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
        """It is there, and is never what X509 gets."""
        names = SSL.Connection(anonymous_context(), None).get_cipher_list()
        self.assertTrue(any(name.startswith("ADH-") for name in names))
        UpstreamTLS().prepare(("TLSNone", "X509None"))
