"""A proxy in front of a VNC server that requires TLS, for tests."""

from typing import Any

from twisted.internet import ssl

from novnc_twisted import errors
from novnc_twisted.session import UpstreamTLS
from tests.session.harness import FrontCase, introduce, refused
from tests.support.pki import CA, Credential
from tests.support.vnc_server import FakeVNCServer

OURS, OTHER = CA(), CA("another CA")
NAMED = OURS.issue("127.0.0.1", "localhost", "compute1")


def served(credential: Credential, clients: CA | None = None, **more: Any) -> ssl.CertificateOptions:
    """Return the TLS options of a server.

    :param clients: the CA of the clients that it accepts; None: any client.
    """
    loaded = ssl.PrivateCertificate.loadPEM(credential.key + credential.cert)
    if clients is not None:
        more["trustRoot"] = ssl.Certificate.loadPEM(clients.pem)
    return ssl.CertificateOptions(
        privateKey=loaded.privateKey.original, certificate=loaded.original, extraCertChain=more.pop("chain", []), **more
    )


class UpstreamCase(FrontCase):
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
        """Check that a viewer without TLS gets a session in which messages pass in both directions."""
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
        """Return the reason of a refusal from the log; the viewer receives only the usual sentence."""
        viewer = await self.websocket()
        sentence = errors.ConsoleUnreachable.sentence
        self.assertEqual(await refused(viewer), sentence)
        self.assertEqual(await viewer.until_closed(), (4502, sentence))
        record = await self.ended()
        self.assertEqual((record["cause"], record["phase"]), ("ConsoleUnreachable", "login"))
        self.assertEqual([event for event in self.events if "log_failure" in event], [])
        self.assertIsNone(self.server.connections[0].shared, "ClientInit was sent to a server that was refused")
        return str(record["detail"])
