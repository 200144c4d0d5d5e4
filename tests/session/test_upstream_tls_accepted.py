"""TLS to the VNC server, with real certificates: which are accepted, and sessions over TLS."""

import shutil
import tempfile
from pathlib import Path

from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred

from novnc_twisted.relay.stream_end import StreamEnd
from novnc_twisted.session import UpstreamTLS
from tests.session.harness import introduce
from tests.session.upstream_tls_case import NAMED, OTHER, OURS, UpstreamCase, served
from tests.support.pki import CA, CLIENT
from tests.support.vnc_server import FakeVNCServer


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
        """The proxy dials an address, but certificates have the names of compute hosts, as in OpenStack."""
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
        """A running front uses another CA and client certificate."""
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
        """It has no address, so the certificate must have the compute host's name or ``server_name``."""
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
        """If the VNC server stops reading, the proxy stops reading from the viewer.  TLS is not relayed detached."""
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
        await self.stop_sessions()  # the stalled connection is aborted
        self.assertEqual((await self.ended())["cause"], "Stopping")
        connection.transport.abortConnection()  # it does not read, so it does not notice the close

    async def test_our_order(self) -> None:
        """The order of ``auth_schemes`` decides, not the order in which the server lists its types."""
        for schemes, chosen in ((("vencrypt", "none"), 19), (("none", "vencrypt"), 1)):
            self.serve(served(NAMED), security_types=(1, 19))
            self.front_with(schemes=schemes)
            viewer = await self.websocket()
            await introduce(viewer)
            self.assertEqual((await self.server.live.get()).chosen, chosen)
