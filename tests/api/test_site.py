"""The API's site: default connection limit, log without tokens, health check."""

import io

from twisted.logger import FilteringLogObserver, globalLogPublisher, textFileLogObserver
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api.site import MAX_CONNECTIONS
from novnc_twisted.identity import NoAuth
from tests.api.harness import FakeHost, instance, running, uuid_of
from tests.api.users import UsersCase
from tests.http.harness import Connection
from tests.support.logged import Logged


class ConnectionLimitTests(SynchronousTestCase):
    def test_the_default_limit(self) -> None:
        """A site without explicit limits has one, and logs each address that it refuses."""
        log = Logged(self)
        site = running(self, NoAuth()).site
        for at in range(MAX_CONNECTIONS + 10):
            Connection(site, peer=f"10.0.{at >> 8}.{at & 255}")
        self.assertEqual(len(site.connection_limits), MAX_CONNECTIONS)
        self.assertEqual(len(log.lines("all 1000 connections are in use")), 10, "one for each refused address")
        site.stopFactory()


class LogTests(SynchronousTestCase):
    def test_no_secret(self) -> None:
        system = running(self, NoAuth(), FakeHost("host1", instance("one")))
        log = io.StringIO()
        observer = FilteringLogObserver(textFileLogObserver(log), [])
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        path = f"/v2.1/servers/{uuid_of('one')}/remote-consoles"
        url = system.post(path, body, OpenStack_API_Version="compute 2.6").body["remote_console"]["url"]
        token = url.partition("token=")[2]
        for target in (
            f"/v2.1/os-console-auth-tokens/{token}",
            f"/v2.1/p/os-console-auth-tokens/{token}/x",
            f"/v2/os-console-auth-tokens//{token}",
            f"/v2.1/os%2Dconsole-auth-tokens/{token}",
            f"/v2.1/servers?token={token}",
            f"/else/token={token}",
        ):
            system.get(target, X_Auth_Token=token, Authorization=f"Basic {token}", Referer=f"http://x/?token={token}")
        self.assertIn("POST /v2.1/servers/", log.getvalue())
        self.assertNotIn(token, log.getvalue())


class HealthCheckTests(UsersCase):
    def test_other_methods_and_targets(self) -> None:
        answer = self.system.ask("DELETE", "/healthz")
        self.assertEqual((answer.status, answer["allow"]), (405, "GET, HEAD"))
        for method, target, status in (
            ("OPTIONS", "/v2.1", 405),
            ("OPTIONS", "/v2.1/servers", 401),
            ("GET", "/healthz/x", 300),
        ):
            self.assertEqual(self.system.ask(method, target).status, status, (method, target))

    def test_a_refused_head_request_is_logged(self) -> None:
        log = Logged(self)
        self.system.send("HEAD", "/v2.1/servers")
        self.assertEqual(len(log.lines("HEAD /v2.1/servers 401")), 1)
