"""The user file: its lines, its warnings, and that it is read again when it changes."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.identity import HTTPBasic
from novnc_twisted.identity.htpasswd import MAX_WARNINGS, parse
from tests.api.harness import FakeReactor
from tests.api.users import RED, ROOT, UsersCase, basic
from tests.support.logged import Logged


class AgainTests(UsersCase):
    def test_the_file_is_read_again(self) -> None:
        self.file.write_text(f"carol:{RED}:red\n")
        self.refused(self.system.get("/v2.1/servers", Authorization=basic("alice", "r3d:pass")))
        self.assertEqual(self.names(Authorization=basic("carol", "r3d:pass")), ["red-vm"])

    def test_a_byte_order_mark(self) -> None:
        """Editors on Windows write one; it is not part of the first name."""
        self.file.write_bytes(b"\xef\xbb\xbf" + f"alice:{RED}:red\n".encode())
        self.assertEqual(self.names(Authorization=basic("alice", "r3d:pass")), ["red-vm"])

    def test_an_unusable_file_changes_nothing(self) -> None:
        self.file.write_text("carol:plain\n")
        self.assertEqual(self.names(Authorization=basic("alice", "r3d:pass")), ["red-vm"])
        self.file.unlink()
        self.assertEqual(self.names(Authorization=basic("alice", "r3d:pass")), ["red-vm"])

    def test_nothing_secret_in_reprs(self) -> None:
        auth = HTTPBasic(self.reactor, self.file)
        self.assertNotIn("$2b$", repr(auth.user("alice")))


class FileTests(SynchronousTestCase):
    def test_good(self) -> None:
        text = f"# people\n\n  alice:{RED}:red \r\nroot:{ROOT}\nümläut:{ROOT}: p 1 \n"
        text += f"検証\u3000サーバ:{ROOT}:a\u200cb\xa0c\n"
        users = parse(text, "users", ["root"]).users
        self.assertEqual(
            {name: (user.project, user.is_admin) for name, user in users.items()},
            {
                "alice": ("red", False),
                "root": (None, True),
                "ümläut": ("p 1", False),
                "検証\u3000サーバ": ("a\u200cb\xa0c", False),
            },
        )

    def test_bad(self) -> None:
        for text, why in (
            ("", "f has no user"),
            ("alice", "f, line 1: user:hash or"),
            (f"\nalice:{RED}:red:x", "f, line 2: user:hash or"),
            (f":{RED}", "f, line 1: the user has no usable name"),
            ("alice:secret", "f, line 1: no bcrypt hash"),
            ("alice:$apr1$x$y", "f, line 1: no bcrypt hash"),
            (f"alice:{RED[:-1]}", "f, line 1: no bcrypt hash"),
            (f"ali\x1bce:{RED}", "f, line 1: the user has no usable name"),
            (f"ali\x85ce:{RED}", "f, line 1: the user has no usable name"),
            (f"alice:{RED}:r\u2028ed", "f, line 1: the project is empty"),
            (f"alice:{RED}:", "f, line 1: the project is empty"),
            (f"alice:{RED}:  ", "f, line 1: the project is empty"),
            (f"alice:{RED}\nalice:{RED}:red", "f, line 2: this user has another line"),
        ):
            error = str(self.assertRaises(ValueError, parse, text, "f"))
            self.assertTrue(error.startswith(why), error)
            self.assertNotIn(RED, error)
            self.assertNotIn("secret", error)

    def test_warnings(self) -> None:
        """Each warning names the file, the line and the user, and none contains the hash."""
        weak, good, slow = (f"$2y${cost}${'a' * 53}" for cost in ("05", "12", "17"))
        text = f"# people\nalice:{weak}:red\nbob:{good}\nroot:{good}\ncarol:{slow}:red\ndave:{good}:red\n"
        warnings = parse(text, "f", ["root", "rot"]).warnings
        self.assertEqual(
            [warning.partition(".")[0] for warning in warnings],
            [
                "f, line 2: the hash of user alice has the weak bcrypt cost 5; make it with htpasswd -B -C 12",
                "f, line 3: user bob has no project and sees no servers",
                "f, line 5: the hash of user carol has the bcrypt cost 17, with which a log-in takes seconds of "
                "CPU time; make it with htpasswd -B -C 12",
                "f has no user rot, but [api] admin_users contains this name",
            ],
        )
        self.assertIn("[api] admin_users", warnings[1])

    def test_warnings_are_logged_once_for_a_state_of_the_file(self) -> None:
        log = Logged(self)
        path = Path(self.mktemp())
        good = "$2y$12$" + "a" * 53
        path.write_text(f"alice:{good}:red\n")
        auth = HTTPBasic(FakeReactor(), path)
        self.assertEqual(log.lines("no project"), [])
        path.write_text(f"alice:{good}\n" + "".join(f"user{number}:{good}\n" for number in range(100)))
        for _ in range(5):
            auth.user("alice")
        self.assertEqual(len(log.lines("line 1: user alice has no project")), 1)
        self.assertEqual(len(log.lines("has no project")), MAX_WARNINGS)
        self.assertEqual(len(log.lines("further warnings of these kinds: 81")), 1)

    def test_unusable(self) -> None:
        path = self.mktemp()
        for content in (None, b"\xff\xfe", b"x" * (1 << 20) + b"y"):
            if content is not None:
                Path(path).write_bytes(content)
            error = str(self.assertRaises(ValueError, HTTPBasic, FakeReactor(), path))
            self.assertIn(path, error)
            self.assertNotIn("\n", error)

    def test_a_folder(self) -> None:
        Path(path := self.mktemp()).mkdir()
        self.assertRaises(ValueError, HTTPBasic, FakeReactor(), path)
