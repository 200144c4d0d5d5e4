"""Log lines about Redis: one when a problem begins, one when it ends, and never too many."""

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.messaging.redis.health import MAX_LOSSES, QUIET, Health
from novnc_twisted.messaging.redis.protocol import RedisError
from novnc_twisted.messaging.redis.reasons import NoLogIn, Untrusted, code_of, loss, refusal, sentence
from tests.support.logged import Logged

LOST = ConnectionDone()
FULL = RedisError("MAXCLIENTS")


class HealthTests(SynchronousTestCase):
    """Several connections of one process."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.logged = Logged(self)
        self.health = Health(self.clock, "redis://there", wall=lambda: 0.0)

    def lines(self) -> list[str]:
        return [line.removeprefix("Redis at redis://there ") for line in self.logged.lines("Redis at")]

    def test_one_outage_of_all(self) -> None:
        for connection in "abc":
            self.health.down(connection, LOST)
        for _ in range(10):
            self.health.down("a", LOST)
        for connection in "abc":
            self.assertEqual(len(self.lines()), 1)
            self.health.up(connection)
        self.assertEqual(self.lines(), ["cannot be reached (it closed the connection); trying again", "is back"])

    def test_another_reason_in_the_same_outage(self) -> None:
        """Each reason that lasts until an administrator acts is logged once."""
        for reason in (LOST, FULL, FULL, RedisError("WRONGPASS"), FULL, LOST):
            self.health.down("a", reason)
        self.assertEqual(len(self.lines()), 3)
        self.health.up("a")
        self.assertEqual(self.lines()[3:], ["is back"])

    def test_one_that_comes_and_goes(self) -> None:
        for reason in (LOST, FULL):
            self.setUp()
            for _ in range(100):
                self.health.down("a", reason)
                self.health.up("a")
            self.assertEqual(len(self.lines()), 2 * MAX_LOSSES)
            self.clock.advance(QUIET + 1)
            self.health.down("a", reason)
            self.health.up("a")
            self.assertEqual(len(self.lines()), 2 * MAX_LOSSES + 2)

    def test_several_attempts_of_each_outage(self) -> None:
        """The limit also holds for refusals that are repeated, or that follow a loss."""
        for reasons in ((FULL, FULL), (LOST, FULL), (FULL, LOST), (LOST, LOST)):
            self.setUp()
            for _ in range(100):
                for reason in reasons:
                    self.health.down("a", reason)
                self.health.up("a")
            began = [line for line in self.lines() if line != "is back"]
            self.assertEqual(len(began), MAX_LOSSES, reasons)

    def test_an_outage_that_begins_above_the_limit_and_lasts(self) -> None:
        for reason in (LOST, FULL):
            self.setUp()
            for _ in range(MAX_LOSSES):
                self.health.down("a", reason)
                self.health.up("a")
            for seconds, lines in ((0, 0), (QUIET, 0), (1, 1), (1, 1)):
                self.clock.advance(seconds)
                self.health.down("a", reason)
                self.assertEqual(len(self.lines()), 2 * MAX_LOSSES + lines, (reason, seconds))

    def test_troubles_that_come_and_go(self) -> None:
        for _ in range(100):
            self.health.trouble("OOM")
            self.health.no_trouble()
        self.assertEqual(len(self.lines()), 2)

    def test_complaints(self) -> None:
        """One line a minute for each kind, with the number of lines that were left out."""
        for _ in range(10):
            self.health.complain("x")
            self.health.complain("y", "another kind")
        self.assertEqual(len(self.lines()), 2)
        self.clock.advance(QUIET)
        self.health.complain("x")
        self.assertTrue(self.lines()[2].endswith("x (and 18 more such lines)"), self.lines())

    def test_complaints_during_an_outage(self) -> None:
        """They are only counted, because the outage causes them."""
        self.health.down("a", LOST)
        self.health.complain("x")
        self.health.up("a")
        self.assertEqual(len(self.lines()), 2)
        self.health.complain("x")
        self.assertTrue(self.lines()[2].endswith("x (and 1 more such lines)"), self.lines())

    def test_the_option_of_another_redis(self) -> None:
        self.health = Health(self.clock, "redis://there", option="token_source")
        reasons = (RedisError("WRONGPASS"), Untrusted("it has expired"), SSL.Error([("", "", "wrong version number")]))
        for reason in reasons:
            self.health.down("a", reason)
        self.assertEqual([line.count("see token_source") for line in self.lines()], [1, 1, 1])
        self.health.up("a")
        self.health.down("a", NoLogIn("closed", tls=False))
        self.assertIn("set token_source to rediss://", self.lines()[4])

    def test_stopped(self) -> None:
        self.health.stop()
        self.health.down("a", LOST)
        self.health.down("a", FULL)
        self.health.up("a")
        self.health.trouble("OOM")
        self.health.complain("x")
        self.health.clock(700)
        self.assertEqual(self.lines(), [])


class ReasonTests(SynchronousTestCase):
    """Sentences for errors of Redis.  They do not quote the texts of the errors."""

    def test_codes(self) -> None:
        for text, code in (
            ("NOPERM User x has no permissions to run the 'get' command", "NOPERM"),
            ("ERR max number of clients + cluster connections reached", "MAXCLIENTS"),
            ("ERR The user executing the script can't run this command", "NOPERM"),
            ("ERR ACL failure in script: User x has no permissions to run the 'get' command", "NOPERM"),
            ("ERR unknown command 'HELLO', with args beginning with: ", "UNKNOWN"),
            ("DENIED Redis is running in protected mode", "DENIED"),
            ("DENIED Valkey is running in protected mode", "DENIED"),
            ("secret", "ERR"),
            ("Secret X", "ERR"),
            ("", "ERR"),
            ("A" * 100, "A" * 32),
            ("\u0410 x", "ERR"),
        ):
            self.assertEqual(code_of(text), code, text)

    def test_sentences(self) -> None:
        self.assertEqual(sentence("SOMETHING"), "it refuses us (SOMETHING)")
        self.assertIsNone(refusal(LOST))
        self.assertIsNone(refusal(RedisError("LOADING")))
        self.assertIn("loading", loss(RedisError("LOADING")))
        for what in ("silent", "closed", "garbled"):
            for tls in (True, False):
                self.assertTrue(loss(NoLogIn(what, tls=tls)))
        self.assertEqual(loss(KeyError("secret")), "KeyError")
