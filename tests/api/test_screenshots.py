"""Screenshots through the console API: rights, formats and sizes."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.events import ScreenshotTaken
from novnc_twisted.http.accept import best_of
from novnc_twisted.identity import HTTPBasic
from tests.api.harness import System, instance, uuid_of
from tests.api.test_console_api import ALICE, BORIS, ROOT
from tests.api.users import UsersCase
from tests.http.harness import Answer
from tests.support.observed import only

PATH = f"/console/v1/servers/{uuid_of('red-vm')}/screenshot"


class ScreenshotTests(UsersCase):
    def shot(self, query: str = "", who: dict[str, str] = ALICE, **headers: str) -> Answer:
        return self.system.get(PATH + query, **who, **headers)

    def test_formats(self) -> None:
        for accept, kind in (
            ("image/jpeg", "jpeg"),
            ("image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", "png"),
            ("image/webp,image/*;q=0.8", "webp"),
            ("*/*", "png"),
            ("", "png"),
        ):
            answer = self.shot("?width=320", Accept=accept)
            self.assertEqual((answer.status, answer["content-type"]), (200, f"image/{kind}"), accept)
            self.assertTrue(answer.raw.endswith(f"{kind} of 320".encode()))
            self.assertEqual((answer["cache-control"], answer["vary"]), ("no-store", "Accept"))
        self.assertEqual(self.shot(Accept="text/html, image/png;q=0").status, 406)

    def test_widths(self) -> None:
        self.assertTrue(self.shot().raw.endswith(b"png of None"))
        for wrong in ("0", "15", "8193", "99999999999", "-5", "1e3", "x", "%D9%A3%D9%A2"):
            self.assertEqual(self.shot(f"?width={wrong}").status, 400, wrong)
        self.assertEqual(self.hosts[0].asked, [(uuid_of("red-vm"), "png", None)])

    def test_rights(self) -> None:
        self.assertEqual(self.shot(who=ROOT).status, 200)
        self.assertEqual(self.shot(who=BORIS).status, 404)
        self.assertEqual(self.shot(who={}).status, 401)
        self.assertEqual(len(self.hosts[0].asked), 1)

    def test_each_is_reported(self) -> None:
        """Refused screenshots are reported, too, except of a server that the caller does not see."""
        events: list[ScreenshotTaken] = []
        auth = HTTPBasic(self.reactor, self.file, admin_users=["root"])
        system = System(auth, *self.hosts, reactor=self.reactor, observer=only(ScreenshotTaken, events))
        self.system = self.successResultOf(Deferred.fromCoroutine(system.start()))
        size = len(self.shot().raw)
        self.shot(who=BORIS)
        self.hosts[0].instances[uuid_of("red-vm")] |= instance("red-vm", state="shutoff", project_id="red")
        self.shot()
        self.assertEqual([(event.size, event.cause) for event in events], [(size, ""), (0, "InstanceNotRunning")])
        self.assertEqual({(event.user_id, event.instance_name) for event in events}, {("alice", "red-vm")})

    def test_a_stopped_server(self) -> None:
        self.hosts[0].instances[uuid_of("red-vm")] |= instance("red-vm", state="shutoff", project_id="red")
        answer = self.shot()
        self.assertEqual((answer.status, list(answer.body)), (409, ["conflictingRequest"]))


class AcceptTests(SynchronousTestCase):
    def test_the_most_specific_range_counts(self) -> None:
        for fields, best in (
            ([], "a/x"),
            ([""], "a/x"),
            (["a/y"], "a/y"),
            (["a/*;q=0.5, a/y;q=0.4"], "a/x"),
            (["a/*;q=0.5", "a/y"], "a/y"),
            (["*/*, a/x;q=0"], "a/y"),
            (["A/Y ; Q=0.7"], "a/y"),
            (["a/x;q=nonsense"], None),
            (["b/*"], None),
        ):
            self.assertEqual(best_of(fields, ("a/x", "a/y")), best, fields)

    def test_a_long_field(self) -> None:
        fields: Any = [",".join(["a/x;q=0.1"] * 2000)]
        self.assertEqual(best_of(fields, ("a/x",)), "a/x")
