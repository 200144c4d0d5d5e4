"""Passwords against hashes: as dear for strangers, few at a time, and remembered for a while."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api.htpasswd import parse
from novnc_twisted.api.passwords import MAX_WAITING, REMEMBERED, Passwords
from tests.api.harness import FakeReactor, quick_hash
from tests.api.users import RED, ROOT


class PasswordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.checked: list[tuple[bytes, bytes]] = []
        self.reactor = FakeReactor()
        self.users = parse(f"alice:{RED}:red\nroot:{ROOT}\n", "users")
        self.passwords = Passwords(self.reactor)
        self.waiting: list[Any] = []
        self.reactor.pool = self

    def callInThreadWithCallback(self, on_result: Any, function: Any, password: bytes, hashed: bytes) -> None:
        self.checked.append((password, hashed))
        self.waiting.append(lambda: on_result(True, function(password, hashed)))

    def check(self, name: str, password: str) -> Any:
        return Deferred.fromCoroutine(self.passwords.check(self.users, name, password))

    def run_all(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def test_a_stranger_costs_as_much(self) -> None:
        """One comparison with a hash of the file, always the same one."""
        for _ in range(2):
            result = self.check("stranger", "toor")
            self.run_all()
            self.assertIsNone(self.successResultOf(result))
        self.assertEqual(len(self.checked), 2)
        self.assertEqual(self.checked[0], self.checked[1])
        self.assertIn(self.checked[0][1].decode(), (RED, ROOT))

    def test_right_ones_are_remembered_for_a_while(self) -> None:
        for advance, comparisons in ((0, 1), (REMEMBERED - 1, 1), (1, 2)):
            self.reactor.advance(advance)
            result = self.check("root", "toor")
            self.run_all()
            self.assertEqual(self.successResultOf(result).name, "root")
            self.assertEqual(len(self.checked), comparisons)

    def test_not_for_another_hash(self) -> None:
        result = self.check("root", "toor")
        self.run_all()
        self.successResultOf(result)
        self.users = parse(f"root:{RED}\n", "users")
        result = self.check("root", "toor")
        self.run_all()
        self.assertIsNone(self.successResultOf(result))

    def test_few_at_a_time(self) -> None:
        results = [self.check("root", "no") for _ in range(MAX_WAITING)]
        self.assertEqual(len(self.waiting), 4)
        self.assertEqual(self.failureResultOf(self.check("root", "no")).value.code, 503)
        for result in results:
            result.cancel()
            self.failureResultOf(result)
        # Those in threads are busy still.
        self.assertEqual(len(self.waiting), 4)
        self.assertEqual(self.failureResultOf(self.check("root", "no")).value.code, 503)
        self.run_all()
        result = self.check("root", "toor")
        self.run_all()
        self.assertEqual(self.successResultOf(result).name, "root")

    def test_long_passwords(self) -> None:
        self.users = parse(f"long:{quick_hash('x' * 72)}\n", "users")
        result = self.check("long", "x" * 100)
        self.run_all()
        self.assertEqual(self.successResultOf(result).name, "long")
