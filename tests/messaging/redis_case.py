"""A base class with a fake Redis on a clock."""

from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.redis import heartbeat
from novnc_twisted.messaging.redis.command_link import CommandLink
from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.link import Link
from novnc_twisted.messaging.redis.running import Scripts
from novnc_twisted.messaging.redis.scripts import Script
from novnc_twisted.messaging.redis_url import RedisURL
from tests.support.fake_redis import EPOCH, FakeRedis
from tests.support.logged import Logged

L = TypeVar("L", bound=Link)


class LinkCase(SynchronousTestCase):
    """Makes links.  ``link`` is a link for commands; it is not started yet.

    :ivar may_load: whether its user may load scripts.
    """

    may_load = False
    address = RedisURL()

    def setUp(self) -> None:
        self.patch(heartbeat, "first_pause", lambda: heartbeat.BEAT)
        self.clock = Clock()
        self.redis = FakeRedis(self.clock)
        self.logged = Logged(self)
        self.health = Health(self.clock, "redis://there", wall=lambda: EPOCH + self.clock.seconds())
        self.scripts = Scripts(self.clock, self.may_load, self.health)
        self.links: list[Link] = []
        self.addCleanup(self.stop)
        self.link = self.commands()

    def commands(self, **options: Any) -> CommandLink:
        """Make a link for commands to the same Redis."""
        return self._made(CommandLink, "commands", scripts=self.scripts, **options)

    def made(self, purpose: str, **options: Any) -> Link:
        """Make another link to the same Redis."""
        return self._made(Link, purpose, **options)

    def _made(self, kind: type[L], purpose: str, **options: Any) -> L:
        link = kind(
            self.clock, self.redis, self.address, self.health, purpose, **{"seconds": self.clock.seconds, **options}
        )
        self.links.append(link)
        return link

    def stop(self) -> None:
        """Stop every link."""
        self.health.stop()
        stopping = [Deferred.fromCoroutine(link.stop()) for link in reversed(self.links)]
        self.links.clear()
        self.advance(0.3)
        for one in stopping:
            self.successResultOf(one)

    def fresh(self) -> None:
        """Begin again with another Redis and another link."""
        self.stop()
        self.setUp()

    def run_script(self, script: Script, deadline: float = 5.0) -> Deferred[Any]:
        """Run a script with one key."""
        return Deferred.fromCoroutine(self.link.run(script, ["key"], deadline=deadline))

    def advance(self, seconds: float, step: float = 0.05) -> None:
        """Advance the clock in small steps."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)

    def unavailable(self, work: Deferred[Any]) -> str:
        """Return the detail of the ServiceUnavailable that it has failed with."""
        return str(self.failureResultOf(work, ServiceUnavailable).value.detail)

    def redis_lines(self) -> list[str]:
        """Return the log lines about Redis."""
        return [line.removeprefix("Redis at redis://there ") for line in self.logged.lines("Redis at")]
