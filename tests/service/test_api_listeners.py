"""The addresses of the API, which the proxies need."""

import socket
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service.builders import _api_listeners
from novnc_twisted.service.exits import Unusable


class Listeners(SynchronousTestCase):
    def noted(self, listener: socket.socket, auth_strategy: str) -> list[tuple[str, int]]:
        self.addCleanup(listener.close)
        conf = SimpleNamespace(
            osapi_compute_listen="127.0.0.1",
            osapi_compute_listen_port=8774,
            api=SimpleNamespace(auth_strategy=auth_strategy),
        )
        context: Any = SimpleNamespace(conf=conf, sockets=SimpleNamespace(take=lambda *_: [listener]), api_addresses=[])
        self.assertEqual(_api_listeners(context), [listener])
        noted: list[tuple[str, int]] = context.api_addresses
        return noted

    def unix(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(Path(self.mktemp()).relative_to(".")))
        return listener

    def abstract(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"\0novnc-test-{uuid.uuid4()}")
        return listener

    def test_tcp(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.assertEqual(self.noted(listener, "noauth"), [listener.getsockname()])

    def test_a_unix_socket_has_no_port_for_browsers(self) -> None:
        self.assertEqual(self.noted(self.unix(), "http_basic"), [])

    def test_an_abstract_unix_socket(self) -> None:
        """getsockname() returns its name as bytes."""
        self.assertEqual(self.noted(self.abstract(), "http_basic"), [])

    def test_a_unix_socket_without_authentication(self) -> None:
        self.assertRaises(Unusable, self.noted, self.unix(), "noauth")
        error = self.assertRaises(Unusable, self.noted, self.abstract(), "noauth2")
        self.assertIn("LISTEN_FDS passes @novnc-test-", str(error))
