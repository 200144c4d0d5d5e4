"""Event streams that end while they begin."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.http import Request, Response
from tests.http.harness import Connection, EchoSite


class EventStreamTests(SynchronousTestCase):
    def test_a_subscription_that_ends_at_once(self) -> None:
        """Its end function is called once, and the connection serves the next request."""
        ended: list[None] = []

        def subscribe(subscriber: Any) -> Any:
            subscriber.send(b"data: 1\n\n")
            subscriber.finish()
            subscriber.send(b"data: 2\n\n")
            return lambda: ended.append(None)

        async def answer(request: Request) -> Response:
            return Response(200, events=subscribe)

        site = EchoSite()
        self.patch(site.application, "answer", answer)
        connection = Connection(site)
        for _ in range(2):
            connection.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            site.clock.advance(0)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(len(ended), 2)
        sent = connection.transport.value()
        self.assertEqual((sent.count(b"200 OK"), sent.count(b"data: 1"), sent.count(b"data: 2")), (2, 2, 0))
        self.assertFalse(connection.transport.disconnecting)
