"""Nova's API as the authority: what the credentials may ask for, and which missing rights are logged."""

from twisted.internet.defer import Deferred

from novnc_twisted.consoleauth.nova_api import NO_SERVER
from novnc_twisted.keystone import Answer
from tests.consoleauth.test_nova_authority import SERVER, AuthorityCase
from tests.support.logged import Logged


class RightsTests(AuthorityCase):
    def test_no_right_to_ask_again(self) -> None:
        probe, real = (f"/servers/{uuid}/remote-consoles" for uuid in (NO_SERVER, SERVER))
        for path in (probe, real):  # forbidden by access rules, or by the operator's policy
            for status in (401, 403):
                self.setUp()
                self.client.answers[path] = Answer(status, {})
                logged = Logged(self)
                info = self.checked()
                for _ in range(2):
                    self.assertIsNone(self.successResultOf(self.find_again(info)))
                self.assertEqual(len(logged.lines("remote-consoles")), 1)

    def test_simultaneous_calls_without_the_right_to_ask_again(self) -> None:
        """One warning, although nova refuses several requests that began together."""
        info, log = self.checked(), Logged(self)
        self.moved()
        self.checked()
        self.successResultOf(self.find_again(info))
        self.client.answers[f"/servers/{SERVER}/remote-consoles"] = Answer(403, {})
        self.client.hold()
        both = [self.find_again(info), self.find_again(info)]
        for _ in range(2):
            self.client.release()
        self.assertEqual([self.successResultOf(one) for one in both], [None, None])
        self.assertEqual(len(log.lines("may not request consoles")), 1)

    def test_a_late_answer_does_not_restore_the_right_to_ask_again(self) -> None:
        """A request about a real server was refused while another call asked about one that does not exist."""
        info, log = self.checked(), Logged(self)
        self.client.answers[f"/servers/{SERVER}/remote-consoles"] = Answer(403, {})
        waiting = self.client.hold()
        both = [self.find_again(info), self.find_again(info)]
        self.client.release()  # both have read the server, and now check the right to ask again
        late = waiting.pop()
        self.client.release()
        self.client.release()
        late[0].callback(late[1])
        self.assertEqual([self.successResultOf(one) for one in both], [None, None])
        self.client.held = None
        self.client.paths.clear()
        self.successResultOf(self.find_again(info))
        self.assertNotIn(f"POST /servers/{SERVER}/remote-consoles", self.client.paths)
        self.assertEqual(len(log.lines("may not request consoles")), 1)

    def test_rights_are_found_out_at_the_start(self) -> None:
        self.client.answers[f"/servers/{NO_SERVER}/remote-consoles"] = Answer(401, {})
        logged = Logged(self)
        self.successResultOf(Deferred.fromCoroutine(self.authority.find_rights()))
        self.assertEqual(len(logged.lines("remote-consoles")), 1)
        self.checked()
        self.assertEqual(len([path for path in self.client.paths if NO_SERVER in path]), 2)
        self.setUp()
        self.client.answers[f"/servers/{NO_SERVER}"] = Answer(503, {})
        self.successResultOf(Deferred.fromCoroutine(self.authority.find_rights()))
