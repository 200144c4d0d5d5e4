"""Our client's side of the handshake, connected to our server's side."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ConsoleUnreachable, InstanceNotRunning
from novnc_twisted.rfb import HandshakeDriver, login, offer, refuse


def run_both_sides(client, server):
    """Pass bytes on, one at a time, until neither side sends any."""
    client.start()
    server.start()
    moved = True
    while moved:
        moved = False
        for sender, receiver in ((client, server), (server, client)):
            for byte in sender.to_send():
                receiver.receive(bytes([byte]))
                moved = True


class BothSidesTests(SynchronousTestCase):
    def test_offer(self):
        """At the end, the client waits for ServerInit, which the session sends."""
        for shared in (True, False):
            client, server = HandshakeDriver(login(shared=shared)), HandshakeDriver(offer())
            run_both_sides(client, server)
            self.assertEqual(shared, server.result.shared)
            self.assertEqual((False, "ServerInit"), (client.done, client.waiting_for))

    def test_refuse(self):
        """The sentence arrives as the server's reason."""
        client, server = HandshakeDriver(login()), HandshakeDriver(refuse(InstanceNotRunning.sentence))
        run_both_sides(client, server)
        self.assertIsInstance(client.error, ConsoleUnreachable)
        self.assertEqual(f"the VNC server refuses us: {InstanceNotRunning.sentence}", client.error.detail)
        self.assertTrue(server.done)

    def test_a_type_that_was_not_offered(self):
        """A client that accepts only VNC authentication fails by itself."""
        client, server = HandshakeDriver(login(("vnc",))), HandshakeDriver(offer())
        run_both_sides(client, server)
        self.assertIn("no common security type", client.error.detail)
        self.assertFalse(server.done)
