"""The user file: what it may say, and that it is read again."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api import HTTPBasic
from novnc_twisted.api.htpasswd import parse
from tests.api.harness import FakeReactor
from tests.api.users import RED, ROOT, UsersCase, basic


class AgainTests(UsersCase):
    def test_the_file_is_read_again(self) -> None:
        self.file.write_text(f"carol:{RED}:red\n")
        self.refused(self.system.get("/v2.1/servers", Authorization=basic("alice", "r3d:pass")))
        self.assertEqual(self.names(Authorization=basic("carol", "r3d:pass")), ["red-vm"])

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
        users = parse(f"# people\n\n  alice:{RED}:red \r\nroot:{ROOT}\nümläut:{ROOT}: p 1 \n", "users")
        self.assertEqual(
            {name: user.project for name, user in users.items()}, {"alice": "red", "root": None, "ümläut": "p 1"}
        )

    def test_bad(self) -> None:
        for text, why in (
            ("", "f holds no user"),
            ("alice", "f, line 1: user:hash or"),
            (f"\nalice:{RED}:red:x", "f, line 2: user:hash or"),
            (f":{RED}", "f, line 1: the user has no usable name"),
            ("alice:secret", "f, line 1: no bcrypt hash"),
            ("alice:$apr1$x$y", "f, line 1: no bcrypt hash"),
            (f"alice:{RED[:-1]}", "f, line 1: no bcrypt hash"),
            (f"alice:{RED}:", "f, line 1: the project is empty"),
            (f"alice:{RED}:  ", "f, line 1: the project is empty"),
            (f"alice:{RED}\nalice:{RED}:red", "f, line 2: the user is there twice"),
        ):
            error = str(self.assertRaises(ValueError, parse, text, "f"))
            self.assertTrue(error.startswith(why), error)
            self.assertNotIn(RED, error)
            self.assertNotIn("secret", error)

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
