"""Access rules of application credentials, compared with the patterns of keystonemiddleware."""

import re
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.http.request import Request
from novnc_twisted.identity.keystone.access_rules import MAX_PATH, AccessRule, matches


def as_middleware(pattern: str, path: str) -> bool:
    """Match as keystonemiddleware does: with a regular expression made from the pattern."""
    parts = {"**": ".*", "*": r"[^\/]+"}
    tokens = re.findall(r"\{[^}]*\}|\*\*|\*|[^{}*]", pattern)
    found = "".join(parts.get(token, r"[^\/]+" if token[0] == "{" else re.escape(token)) for token in tokens)
    return re.fullmatch(found, path, re.DOTALL) is not None


class AccessRuleTests(SynchronousTestCase):
    def test_patterns(self) -> None:
        for pattern, path, expected in (
            ("/v2.1/servers", "/v2.1/servers", True),
            ("/v2.1/servers", "/v2.1/servers/x", False),
            ("/v2.1/servers", "/v2x1/servers", False),
            ("/v2.1/servers/*", "/v2.1/servers/x", True),
            ("/v2.1/servers/*", "/v2.1/servers/", False),
            ("/v2.1/servers/*", "/v2.1/servers/x/action", False),
            ("/v2.1/servers/{server_id}/action", "/v2.1/servers/x/action", True),
            ("/v2.1/servers/{server_id}/action", "/v2.1/servers/x/y/action", False),
            ("/v2.1/**", "/v2.1/servers/x/action", True),
            ("/v2.1/**", "/v2.1", False),
            ("**", "/", True),
            ("/v2.1/servers/x*z", "/v2.1/servers/xyz", True),
            ("/v2.1/servers/x*z", "/v2.1/servers/xz", False),
            # An unclosed brace is literal.
            ("/v2.1/*{b", "/v2.1/abc", False),
            ("/v2.1/*{b", "/v2.1/a{b", True),
            ("/{b", "/anything", False),
        ):
            self.assertEqual(matches(pattern, path), expected, (pattern, path))

    def test_as_keystonemiddleware(self) -> None:
        random = Random(1)
        for _ in range(2000):
            pattern = "".join(random.choices(["/", "a", "b", "*", "**", "{x}"], k=random.randint(1, 7)))
            path = "".join(random.choices("/ab", k=random.randint(1, 8)))
            self.assertEqual(matches(pattern, path), as_middleware(pattern, path), (pattern, path))

    def test_many_wildcards(self) -> None:
        """As regular expressions, these patterns would backtrack for ever."""
        self.assertFalse(matches("**a" * 80, "a" * (MAX_PATH - 1) + "b"))
        self.assertFalse(matches("*" * 200 + "/", "a" * MAX_PATH))

    def test_requests(self) -> None:
        rule = AccessRule("compute", "POST", "/v2.1/servers/*/remote-consoles")
        segments = ("v2.1", "servers", "x", "remote-consoles")
        self.assertTrue(rule.allows("compute", Request(method="POST", segments=segments)))
        self.assertFalse(rule.allows("compute", Request(method="GET", segments=segments)))
        self.assertFalse(rule.allows("image", Request(method="POST", segments=segments)))
        # A slash in a segment was sent as %2F, and is not a separator.
        strange = ("v2.1", "servers", "x/y", "remote-consoles")
        self.assertTrue(rule.allows("compute", Request(method="POST", segments=strange)))
        self.assertFalse(
            AccessRule("compute", "GET", "/a/b").allows("compute", Request(method="GET", segments=("a/b",)))
        )
        long = Request(method="GET", segments=("x" * MAX_PATH,))
        self.assertFalse(AccessRule("compute", "GET", "**").allows("compute", long))

    def test_rules_that_cannot_be_read(self) -> None:
        good = {"service": "compute", "method": "GET", "path": "/v2.1/servers", "id": "x"}
        self.assertEqual(AccessRule.read(good), ("compute", "GET", "/v2.1/servers"))
        for bad in (None, "x", [], {}, good | {"path": None}, good | {"path": "x" * 300}, good | {"method": 7}):
            self.assertRaises(ValueError, AccessRule.read, bad)
