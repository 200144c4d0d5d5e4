"""Passwords and hashes: equally slow for unknown users, few at a time, and remembered for a while."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.identity.htpasswd import parse
from novnc_twisted.identity.passwords import CONCURRENT, MAX_WAITING, REMEMBERED, Passwords, TooManyLogIns
from tests.api.harness import FakeReactor, quick_hash
from tests.api.users import RED, ROOT


class PasswordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.checked: list[tuple[bytes, bytes]] = []
        self.reactor = FakeReactor()
        self.users = parse(f"alice:{RED}:red\nroot:{ROOT}\n", "users").users
        self.passwords = Passwords(self.reactor)
        self.waiting: list[Any] = []
        self.on_results: list[Any] = []
        self.reactor.pool = self

    def callInThreadWithCallback(self, on_result: Any, function: Any, password: bytes, hashed: bytes) -> None:
        self.checked.append((password, hashed))
        self.waiting.append(lambda: on_result(True, function(password, hashed)))
        self.on_results.append(on_result)

    def check(self, name: str, password: str, **more: Any) -> Any:
        return Deferred.fromCoroutine(self.passwords.check(self.users, name, password, **more))

    def run_all(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def test_unknown_users_take_as_long(self) -> None:
        """An unknown name is compared with a hash of the file, always with the same one."""
        for _ in range(2):
            result = self.check("stranger", "toor")
            self.run_all()
            self.assertIsNone(self.successResultOf(result))
        self.assertEqual(len(self.checked), 2)
        self.assertEqual(self.checked[0], self.checked[1])
        self.assertIn(self.checked[0][1].decode(), (RED, ROOT))

    def test_correct_passwords_are_remembered_for_a_while(self) -> None:
        for advance, comparisons in ((0, 1), (REMEMBERED - 1, 1), (1, 2)):
            self.reactor.advance(advance)
            result = self.check("root", "toor")
            self.run_all()
            self.assertEqual(self.successResultOf(result).name, "root")
            self.assertEqual(len(self.checked), comparisons)

    def test_a_new_hash_is_compared(self) -> None:
        result = self.check("root", "toor")
        self.run_all()
        self.successResultOf(result)
        self.users = parse(f"root:{RED}\n", "users").users
        result = self.check("root", "toor")
        self.run_all()
        self.assertIsNone(self.successResultOf(result))

    def test_few_at_a_time(self) -> None:
        results = [self.check("root", f"no {number}") for number in range(MAX_WAITING)]
        self.assertEqual(len(self.waiting), 4)
        self.assertEqual(self.failureResultOf(self.check("root", "new")).type, TooManyLogIns)
        for result in results:
            result.cancel()
            self.failureResultOf(result)
        # The comparisons in threads go on.
        self.assertEqual(len(self.waiting), 4)
        self.assertEqual(self.failureResultOf(self.check("root", "new")).type, TooManyLogIns)
        self.run_all()
        result = self.check("root", "toor")
        self.run_all()
        self.assertEqual(self.successResultOf(result).name, "root")

    def test_one_comparison_for_all_that_wait_for_it(self) -> None:
        counted: list[bool] = []
        right = [self.check("root", "toor", done=counted.append) for _ in range(500)]
        wrong = [self.check("root", "no", done=counted.append) for _ in range(500)]
        self.run_all()
        self.assertEqual(len(self.checked), 2)
        self.assertEqual({self.successResultOf(result).name for result in right}, {"root"})
        self.assertEqual({self.successResultOf(result) for result in wrong}, {None})
        self.assertEqual(counted, [True] * 500 + [False] * 500)

    def test_users_with_the_same_hash_share_nothing(self) -> None:
        """Otherwise the time of a response would reveal that another user has the same password."""
        self.users = parse(f"root:{ROOT}\ntwin:{ROOT}\n", "users").users
        results = [self.check(name, "toor") for name in ("root", "twin", "stranger")]
        self.assertEqual(len(self.waiting), 3)
        self.run_all()
        found = [self.successResultOf(result) for result in results]
        self.assertEqual([user and user.name for user in found], ["root", "twin", None])

    def test_a_check_that_is_refused(self) -> None:
        """The other checks that wait for the same comparison get its result."""

        def refuse() -> None:
            raise RuntimeError("locked out")

        blocking = [self.check("root", f"no {number}") for number in range(CONCURRENT)]
        refused, served, late = (
            self.check("root", "toor", **more) for more in ({"begin": refuse}, {}, {"begin": refuse})
        )
        self.run_all()
        self.assertEqual([self.successResultOf(result) for result in blocking], [None] * CONCURRENT)
        self.assertEqual(len(self.checked), CONCURRENT + 1)
        self.assertEqual(self.failureResultOf(refused).type, RuntimeError)
        self.assertEqual(self.failureResultOf(late).type, RuntimeError)
        self.assertEqual(self.successResultOf(served).name, "root")

    def test_all_checks_are_refused(self) -> None:
        def refuse() -> None:
            raise RuntimeError("locked out")

        results = [self.check("root", "toor", begin=refuse) for _ in range(3)]
        self.assertEqual({self.failureResultOf(result).type for result in results}, {RuntimeError})
        self.assertEqual(self.checked, [])
        again = self.check("root", "toor")
        self.run_all()
        self.assertEqual(self.successResultOf(again).name, "root")

    def test_a_comparison_that_fails(self) -> None:
        """All checks that wait for the comparison fail, and the next check starts a new one."""
        results = [self.check("root", "toor") for _ in range(3)]
        self.waiting.clear()
        self.on_results.pop()(False, Failure(RuntimeError("no thread")))
        self.assertEqual({self.failureResultOf(result).type for result in results}, {RuntimeError})
        again = self.check("root", "toor")
        self.run_all()
        self.assertEqual(self.successResultOf(again).name, "root")

    def test_a_password_with_nul_is_wrong(self) -> None:
        """bcrypt would truncate the password there.  The password of another user is wrong for an unknown name."""
        counted: list[bool] = []
        self.users = parse(f"empty:{quick_hash('')}\n", "users").users
        for name, password in (("empty", "\0"), ("empty", "\0x"), ("stranger", "")):
            result = self.check(name, password, done=counted.append)
            self.run_all()
            self.assertIsNone(self.successResultOf(result), (name, password))
        self.assertEqual(counted, [False] * 3)

    def test_long_passwords(self) -> None:
        self.users = parse(f"long:{quick_hash('x' * 72)}\n", "users").users
        result = self.check("long", "x" * 100)
        self.run_all()
        self.assertEqual(self.successResultOf(result).name, "long")
