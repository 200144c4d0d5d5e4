"""The proxy's memory of nova's tokens: each is kept for a minute after its last use, and their number is limited."""

import json

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.consoleauth import admitted
from novnc_twisted.consoleauth.admitted import GRACE, AdmittedTokens
from novnc_twisted.contract import ConnectInfo

INFO = ConnectInfo(host="h", port=1, instance_uuid="5e7f0000-0000-4000-8000-00000000000b", project_id="red")


class AdmittedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.tokens = AdmittedTokens(lambda: self.now)

    def test_only_tokens_of_live_sessions_are_found(self) -> None:
        self.tokens.add("t", "a", INFO)
        self.assertIsNone(self.tokens.find("t", "a"))
        self.tokens.renew("t", "a")
        self.tokens.renew("u", "a")
        found = self.tokens.find("t", "a")
        assert found is not None
        self.assertEqual((found.instance_uuid, found.project_id), (INFO.instance_uuid, "red"))
        self.assertIsNone(self.tokens.find("t", "b"))
        self.assertIsNone(self.tokens.find("u", "a"))
        self.tokens.add("t", "a", INFO)  # a second tab; the first one may still reconnect
        self.assertIsNotNone(self.tokens.find("t", "a"))
        self.now = GRACE
        self.assertIsNone(self.tokens.find("t", "a"))

    def test_another_worker(self) -> None:
        """It receives the tokens of live sessions, but none that was only checked."""
        other, sent = AdmittedTokens(lambda: self.now), []
        self.tokens.share = sent.append
        self.tokens.add("t", "a", INFO)
        self.assertEqual(sent, [])
        self.tokens.renew("t", "a")
        other.take(json.loads(json.dumps(sent[0])))
        self.assertEqual(other.find("t", "a"), self.tokens.find("t", "a"))
        self.assertIsNone(other.find("t", "b"))
        self.now = GRACE
        self.assertIsNone(other.find("t", "a"))

    def test_expired_entries_are_removed(self) -> None:
        for number in range(100):
            self.tokens.add(str(number), "a", INFO)
            self.now += 10
        self.assertEqual(len(self.tokens), GRACE / 10)

    def test_bounds_spare_live_sessions(self) -> None:
        self.patch(admitted, "MAX_ADMITTED", 10)
        self.tokens.add("live", "a", INFO)
        for number in range(100):
            self.tokens.renew("live", "a")
            self.tokens.add(str(number), "a", INFO)
        self.assertEqual(len(self.tokens), 10)
        self.assertIsNotNone(self.tokens.find("live", "a"))

    def test_no_token_in_memory(self) -> None:
        self.tokens.add("secret", "a", INFO)
        self.assertNotIn("secret", repr(self.tokens._entries))
