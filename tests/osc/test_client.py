"""The OpenStackClient plug-in: endpoint of the console API, requests and paging."""

import io
import json
import sys
from typing import Any

from osc_lib import exceptions
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.osc.client import ConsoleClient, endpoint_of
from novnc_twisted.osc.commands import ListSession
from novnc_twisted.osc.keys import SendKeys

UUID = "171e6299-34d7-4fc9-8e41-604712be3b25"


class EndpointTests(SynchronousTestCase):
    def test_from_the_catalogue(self) -> None:
        self.assertEqual(endpoint_of(None, "http://h/console/v1/", "http://h/v2.1"), "http://h/console/v1")

    def test_override(self) -> None:
        catalogue = "http://h/console/v1"
        self.assertEqual(endpoint_of("http://other/x/console/v1/", catalogue, None), "http://other/x/console/v1")
        self.assertEqual(endpoint_of("", catalogue, None), catalogue)

    def test_an_override_of_another_api(self) -> None:
        """It is an error; no other endpoint is used silently."""
        for override in ("http://other:8774", "http://other:8774/v2.1", "http://other:8774/console"):
            for catalogue in (None, "http://h/console/v1"):
                error = self.assertRaises(
                    exceptions.CommandError, endpoint_of, override, catalogue, "http://h:8774/v2.1"
                )
                self.assertIn(f"OS_CONSOLE_ENDPOINT_OVERRIDE is {override}, without /console/.", str(error))

    def test_beside_the_compute_api(self) -> None:
        """With auth type "none", keystoneauth returns the same endpoint for every service."""
        for compute in ("http://h:8774/v2.1", "http://h:8774/v2.1/", "http://h:8774/v2.1/red", "http://h:8774"):
            for console in (None, compute):
                self.assertEqual(endpoint_of(None, console, compute), "http://h:8774/console/v1", compute)
        self.assertEqual(endpoint_of(None, None, "http://h/compute/v2.1"), "http://h/compute/console/v1")

    def test_nowhere(self) -> None:
        self.assertRaises(exceptions.CommandError, endpoint_of, None, None, None)


class Response:
    """Replaces a Response of the library ``requests``."""

    reason = "Not Found"

    def __init__(self, body: Any, status_code: int = 200) -> None:
        self.content = json.dumps(body)
        self.status_code = status_code

    def json(self) -> Any:
        return json.loads(self.content)


class KeysTests(SynchronousTestCase):
    def sent(self, *arguments: str, typed: str = "") -> Any:
        """Run the command; return the requests that it sends."""
        bodies: list[Any] = []

        class Client:
            def send_keys(self, server_id: str, wanted: Any) -> None:
                bodies.append((server_id, wanted))

        class App:
            class client_manager:
                console = Client()

        self.patch(sys, "stdin", io.StringIO(typed))
        command = SendKeys(App(), None)
        command.take_action(command.get_parser("openstack console keys send").parse_args([UUID, *arguments]))
        return bodies

    def test_bodies(self) -> None:
        self.assertEqual(self.sent("--text", "x y"), [(UUID, {"text": "x y"})])
        self.assertEqual(
            self.sent("--text", "-", "--layout", "de", typed="p\n"), [(UUID, {"text": "p\n", "layout": "de"})]
        )
        self.assertEqual(self.sent("--keys", "ctrl", "alt"), [(UUID, {"keys": ["ctrl", "alt"]})])


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.client = ConsoleClient(None, "http://h/console/v1")
        self.patch(self.client._adapter, "request", self.get)

    def get(self, path: str, method: str, *, params: dict[str, Any], raise_exc: bool) -> Response:
        self.asked.append(params)
        at = int(params.get("marker", 0))
        rows = [{"id": number} for number in range(at, min(at + 2, 5))]
        return Response({"sessions": rows, "next": str(at + 2) if at + 2 < 5 else None})

    def test_all(self) -> None:
        rows = list(self.client.rows("/sessions", {"user_id": "u", "proxy": None}, None))
        self.assertEqual([row["id"] for row in rows], [0, 1, 2, 3, 4])
        self.assertEqual(
            self.asked, [{"user_id": "u"}, {"user_id": "u", "marker": "2"}, {"user_id": "u", "marker": "4"}]
        )

    def test_a_limit_that_is_not_one(self) -> None:
        parser = ListSession(None, None).get_parser("list")
        for text in ("0", "-1", "x", "", "\u0663"):
            self.patch(sys, "stderr", io.StringIO())
            self.assertRaises(SystemExit, parser.parse_args, [f"--limit={text}"])
            self.assertIn(f"{text!r} is not a whole number above 0", sys.stderr.getvalue())
        self.assertEqual(parser.parse_args(["--limit=20"]).limit, 20)

    def test_a_limit(self) -> None:
        self.assertEqual(len(list(self.client.rows("/history", {}, 4))), 4)
        self.assertEqual(self.asked, [{"limit": 4}, {"limit": 2, "marker": "2"}])

    def test_an_error(self) -> None:
        """The text is the API's message; without one, the reason phrase of the response."""
        fault = {"itemNotFound": {"code": 404, "message": "Session 5 could not be found."}}
        bodies: list[Any] = [["x"], {"x": 1}, {"itemNotFound": {"code": 404}}, {"itemNotFound": {"message": None}}]
        for body, why in ((fault, "Session 5 could not be found."), *((body, "Not Found") for body in bodies)):
            self.patch(self.client._adapter, "request", lambda *_, body=body, **__: Response(body, 404))
            error = self.assertRaises(exceptions.CommandError, self.client.show, "5")
            self.assertEqual(str(error), f"{why} (HTTP 404)")

    def test_a_page_of_a_reverse_proxy(self) -> None:
        page = Response({}, 502)
        page.content, page.reason = "<html>", "Bad Gateway"
        self.patch(self.client._adapter, "request", lambda *_, **__: page)
        error = self.assertRaises(exceptions.CommandError, self.client.show, "5")
        self.assertEqual(str(error), "Bad Gateway (HTTP 502)")
        page.status_code = 200
        error = self.assertRaises(exceptions.CommandError, self.client.show, "5")
        self.assertIn("The response is not JSON (HTTP 200)", str(error))
