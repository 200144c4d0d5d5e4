"""Roles: who may call what, and the rights of each as a user of Redis."""

import re
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted.compute.manager import SERVED as COMPUTE
from novnc_twisted.consoleauth import store
from novnc_twisted.consoleauth.manager import SERVED as CONSOLEAUTH
from novnc_twisted.messaging import TracedTransport, transport_from_url
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.messaging.redis.acl import Identity, aclfile_line, rules
from novnc_twisted.messaging.roles import ROLES, check_role, served_to
from novnc_twisted.service.bus import ROLES as OF_COMMANDS
from novnc_twisted.service.make_service import COMMANDS


async def nothing() -> None:
    """A method."""


class RolesTests(SynchronousTestCase):
    """The vocabulary, and what is served to whom."""

    def test_served_to(self) -> None:
        methods = {"a": nothing, "b": nothing, "c": nothing}
        callers = {"a": ("api", "proxy"), "b": ("api",)}
        self.assertEqual(sorted(served_to("proxy", methods, callers)), ["a"])
        self.assertEqual(sorted(served_to("api", methods, callers)), ["a", "b"])
        self.assertEqual(sorted(served_to("compute", methods, callers)), [])
        self.assertEqual(sorted(served_to("", methods, callers)), ["a", "b", "c"])
        self.assertEqual(sorted(served_to("proxy", methods, None)), ["a", "b", "c"])

    def test_words(self) -> None:
        for role in ("", *ROLES):
            self.assertEqual(check_role(role), role)
        self.assertRaises(ValueError, check_role, "compute.one")
        self.assertEqual({role for roles in (*CONSOLEAUTH.values(), *COMPUTE.values()) for role in roles}, set(ROLES))

    def test_each_command_has_one(self) -> None:
        self.assertEqual(OF_COMMANDS.keys(), COMMANDS.keys())
        self.assertEqual(set(OF_COMMANDS.values()), {"", *ROLES})

    def test_a_proxy_may_ask_of_its_own_token_only(self) -> None:
        self.assertEqual(
            sorted(name for name, roles in CONSOLEAUTH.items() if "proxy" in roles),
            ["check_token", "get_vnc_password", "keep_token"],
        )
        self.assertEqual([name for name, roles in CONSOLEAUTH.items() if "compute" in roles], ["instance_gone"])
        self.assertFalse({"proxy", "compute"} & {role for roles in COMPUTE.values() for role in roles})


class MemoryTests(TestCase):
    """In one process there are no roles, but an address is seen all the same."""

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
        """No category, no command that looks into what it does not know, no key of others, no channel."""
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

    def test_consoleauth_may_keep_whatever_it_keeps(self) -> None:
        """A new kind of key needs a pattern."""
        source = Path(store.__file__).read_text()
        kinds = set(re.findall(r'f"([a-z]+):\{', source)) - {"instance", "user"} | {"used", "bound"}
        kinds |= {"domains"}  # may be read, see tests/integration/redis_forbidden.py
        line = " ".join(rules(Identity.parse("consoleauth")))
        self.assertEqual(kinds, set(re.findall(r"~novnc:s:([a-z]+):\*", line)))

    def test_the_password_is_hashed(self) -> None:
        line = aclfile_line(Identity.parse("proxy"), "hunter2")
        hashed = "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7"
        self.assertTrue(line.startswith(f"user novnc-proxy reset on #{hashed} resetchannels -@all "), line)
        self.assertNotIn("hunter2", line)
