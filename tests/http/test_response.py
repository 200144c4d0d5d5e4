"""The bytes of responses."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.http import Response


class ResponseTests(SynchronousTestCase):
    def test_bodies(self) -> None:
        for response, body, content_type in (
            (Response(200, {"a": "ä"}), b'{"a": "\\u00e4"}', "application/json; charset=UTF-8"),
            (Response(200, b"ok"), b"ok", "text/plain; charset=UTF-8"),
            (Response(200), b"", "application/json; charset=UTF-8"),
        ):
            self.assertEqual(response.encode(), body)
            headers = dict(response.body_headers(body))
            self.assertEqual((headers["Content-Type"], headers["Content-Length"]), (content_type, str(len(body))))
            self.assertEqual((headers["Cache-Control"], headers["X-Content-Type-Options"]), ("no-store", "nosniff"))

    def test_no_content(self) -> None:
        self.assertEqual(Response(204).body_headers(b""), ())

    def test_with_headers(self) -> None:
        response = Response(200, None, (("A", "1"),)).with_headers(("B", "2"), ("B", "3"))
        self.assertEqual(response.headers, (("A", "1"), ("B", "2"), ("B", "3")))
