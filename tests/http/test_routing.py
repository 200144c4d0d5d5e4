"""The router: which handler gets a request, by method and path."""

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.http import HTTPError, Response, Router
from novnc_twisted.http.routing import Handler


class Things:
    """A resource; only its routes matter."""

    async def index(self, call: Any) -> Response:
        return Response(200)

    async def detail(self, call: Any) -> Response:
        return Response(200)

    async def show(self, call: Any, name: str) -> Response:
        return Response(200)

    async def create(self, call: Any, name: str) -> Response:
        return Response(201)

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        return [
            ("GET", "things/{}", self.show),
            ("POST", "things/{}", self.create),
            ("GET", "things", self.index),
            ("GET", "things/detail", self.detail),
        ]


class RouterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.things = Things()
        self.router = Router([self.things])

    def test_matches(self) -> None:
        for method, path, handler, arguments in (
            ("GET", "things", self.things.index, ()),
            ("HEAD", "things", self.things.index, ()),
            ("GET", "things/detail", self.things.detail, ()),
            ("GET", "things/{}", self.things.show, ("{}",)),
            ("GET", "things/x", self.things.show, ("x",)),
            ("POST", "things/detail", self.things.create, ("detail",)),
        ):
            self.assertEqual(self.router.match(method, tuple(path.split("/"))), (handler, arguments), (method, path))

    def test_no_such_path(self) -> None:
        for path in ("", "thing", "things/a/b", "things/detail/x"):
            error = self.assertRaises(HTTPError, self.router.match, "GET", tuple(path.split("/")))
            self.assertEqual((error.status, error.headers), (404, ()), path)

    def test_another_method(self) -> None:
        for path, allowed in (("things/x", "GET, POST"), ("things", "GET")):
            error = self.assertRaises(HTTPError, self.router.match, "DELETE", tuple(path.split("/")))
            self.assertEqual((error.status, error.headers), (405, (("Allow", allowed),)))

    def test_tables(self) -> None:
        self.assertEqual(self.router.names, {"things"})
        self.assertIn(("POST", "things/{}"), self.router.table)
