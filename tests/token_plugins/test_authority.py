"""A plug-in as the authority of a proxy."""

from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import InvalidToken, Revoked, ServiceUnavailable
from novnc_twisted.token_plugins import Target, TokenPluginAuthority


class Plugin:
    max_token = 9
    directories = ("/run/vnc",)

    def __init__(self) -> None:
        self.targets: dict[str, Target | Exception] = {}

    async def look_up(self, token: str) -> Target:
        found = self.targets.get(token, InvalidToken("unknown"))
        if isinstance(found, Exception):
            raise found
        return found


class AuthorityTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.plugin = Plugin()
        self.plugin.targets = {
            "tcp": Target(host="h", port=1, expires_at=5.0),
            "unix": Target(socket="/run/vnc/a", password="p"),
        }

    def authority(self, **more: object) -> TokenPluginAuthority:
        return TokenPluginAuthority(self.plugin, host="me", **more)

    def check(self, token: str, **more: object) -> ConnectInfo:
        return self.successResultOf(ensureDeferred(self.authority(**more).check_token(token, "novnc", "a")))

    def test_places(self) -> None:
        self.assertEqual(self.check("tcp"), ConnectInfo(host="h", port=1))
        self.assertEqual(self.check("tcp", enforce_session_timeout=True).expires_at, 5.0)
        found = self.check("unix")
        self.assertEqual((found.socket, found.compute_host, found.password), ("/run/vnc/a", "me", "p"))
        self.failureResultOf(ensureDeferred(self.authority().check_token("x", "novnc", "a")), InvalidToken)
        self.assertEqual((self.authority().max_token, self.authority().directories), (9, ("/run/vnc",)))

    def test_live_sessions(self) -> None:
        """Only enforce_session_timeout ends a session whose token is gone; an outage never does."""
        for enforce, token, error in (
            (False, "gone", None),
            (True, "gone", Revoked),
            (True, "tcp", None),
            (True, "down", ServiceUnavailable),
        ):
            self.plugin.targets["down"] = ServiceUnavailable("down")
            kept = ensureDeferred(self.authority(enforce_session_timeout=enforce).keep_token(token, "a"))
            if error is None:
                self.assertIsNone(self.successResultOf(kept))
            else:
                self.failureResultOf(kept, error)

    def test_no_other_place(self) -> None:
        asked = ensureDeferred(self.authority().find_again("tcp", "a", ConnectInfo(host="h", port=1)))
        self.assertIsNone(self.successResultOf(asked))

    def test_ready(self) -> None:
        self.assertIsNone(self.successResultOf(ensureDeferred(self.authority().ping())))
        self.plugin.targets["readyz"] = ServiceUnavailable("down")
        self.failureResultOf(ensureDeferred(self.authority().ping()), ServiceUnavailable)
