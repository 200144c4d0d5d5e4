"""The rights of each role as a user of Redis, and roles on a transport in memory."""

import re
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted import consoleauth
from novnc_twisted.contract.roles import ROLES
from novnc_twisted.contract.topics import TOPICS
from novnc_twisted.messaging import TracedTransport, transport_from_url
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.messaging.redis.acl import Identity, aclfile_line, rules, store_rights


async def nothing() -> None:
    """A method."""


class MemoryTests(TestCase):
    """In one process there are no roles, but a service may have an address."""

    async def test_place_and_callers(self) -> None:
        inner = transport_from_url(Clock(), "memory://", "proxy")
        self.assertIsInstance(inner, MemoryTransport)
        transport = TracedTransport(inner, Clock())
        await transport.start()
        await transport.serve(
            "t", {"nothing": nothing}, binary="b", host="h", place="192.0.2.1", callers={"nothing": ("api",)}
        )
        self.assertIsNone(await transport.call("t", "nothing"))
        self.assertEqual([one.place for one in await transport.services()], ["192.0.2.1"])
        for place in ("a b", "a@b", "x" * 256, "ü"):
            with self.assertRaises(ValueError):
                await transport.serve("t", {}, binary="b", host="h", place=place)
        await transport.stop()


class AclTests(SynchronousTestCase):
    """The lines of an aclfile."""

    NAMES = ("api", "consoleauth", "proxy", "compute.host-1.example@10.0.0.31", "compute.h@fd00::31")

    def test_identities(self) -> None:
        one = Identity.parse("compute.host-1.example@10.0.0.31")
        self.assertEqual((one.role, one.host, one.address), ("compute", "host-1.example", "10.0.0.31"))
        self.assertEqual((one.name, one.user), ("compute.host-1.example", "novnc-compute.host-1.example"))
        for wrong in (
            *("", "compute", "compute.", "compute.h", "compute.@a", "compute.h@", "compute.h@a@b", "admin"),
            *(
                "proxy.h",
                "api@10.0.0.1",
                "compute.*@a",
                "compute.h@*",
                "compute.[a]@b",
                "compute.a?@b",
                "compute.a:b@c",
            ),
            *("compute.a b@c", "compute.a@b c", "compute.a@b)", "compute.a\n@b", "compute.a@b\n", "compute..a@b"),
        ):
            self.assertRaises(ValueError, Identity.parse, wrong)

    WITHOUT_KEYS = (("consoleauth", "+script|load"), ("consoleauth", "+info"))

    def test_nothing_but_single_commands_on_our_keys(self) -> None:
        """No category of commands, no command that searches keys, no key of other programs, no channel."""
        for name in self.NAMES:
            line = " ".join(rules(Identity.parse(name)))
            plain, selectors = re.sub(r"\([^)]*\)", "", line), re.findall(r"\(([^)]*)\)", line)
            self.assertEqual(
                plain.split(), ["resetchannels", "-@all", "+time", "+select", "+ping", "+role", "+evalsha"]
            )
            for word in " ".join(selectors).split():
                self.assertRegex(word, r"^(\+[a-z]+(\|load)?|(%R|%W)?~novnc:\S+)$")
            for selector in selectors:
                self.assertTrue("~" in selector or (name, selector) in self.WITHOUT_KEYS, selector)
            self.assertNotRegex(line, r"\+(eval|scan|keys|monitor|psubscribe|subscribe|publish|config|acl|client)\b")

    def test_calls_follow_from_the_table_of_topics(self) -> None:
        """A role may write only into queues of topics that have a method for it."""
        for name in self.NAMES:
            identity = Identity.parse(name)
            line = " ".join(rules(identity))
            for topic in TOPICS:
                queue = f"%W~novnc:q:{topic.pattern}:{identity.role} "
                self.assertEqual(queue in line, identity.role in topic.callers)
                served = identity.role == topic.server and bool(topic.methods)
                member = topic.of(identity.host) if identity.host else topic.pattern
                self.assertEqual(f"~novnc:p:{member} ~novnc:a:{member}@" in line, served)

    def test_each_right_to_the_store_is_documented(self) -> None:
        for role in ROLES:
            for right in store_rights(role):
                self.assertRegex(right.meaning, r"^[A-Z].*\.$")
                self.assertTrue(right.selectors)

    def test_consoleauth_has_a_right_for_each_kind_of_key(self) -> None:
        """A new kind of key needs a pattern in the rights."""
        source = "".join(path.read_text() for path in Path(consoleauth.__file__).parent.glob("*.py"))
        indexes = {"instance", "user", "shares", "people"}
        kinds = set(re.findall(r'f"([a-z]+):\{', source)) - indexes | {"bound"}
        kinds |= {"domains"}  # may be read, see tests/integration/redis_forbidden.py
        line = " ".join(rules(Identity.parse("consoleauth")))
        self.assertEqual(kinds, set(re.findall(r"~novnc:s:([a-z]+):\*", line)))

    def test_the_password_is_hashed(self) -> None:
        line = aclfile_line(Identity.parse("proxy"), "hunter2")
        hashed = "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7"
        self.assertTrue(line.startswith(f"user novnc-proxy reset on #{hashed} resetchannels -@all "), line)
        self.assertNotIn("hunter2", line)
