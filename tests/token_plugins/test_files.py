"""The plug-ins whose source is a file or a folder."""

import errno
import os
import shutil
import socket
import tempfile
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.token_plugins import (
    ReadOnlyTokenFile,
    Target,
    TokenFile,
    TokenFileName,
    UnixDomainSocketDirectory,
    make_plugin,
    token_file,
)
from novnc_twisted.token_plugins.target import parse_target
from tests.support.logged import Logged

ESCAPES = ("..", ".", "", "/", "../x", "a/../../x", "/etc/passwd", "a//b", "a/.", "\0", "a\0b", "x\n", "\udcff")


class Case(SynchronousTestCase):
    def found(self, plugin: object, token: str) -> Target:
        return self.successResultOf(ensure(plugin.look_up(token)))  # type: ignore[attr-defined]

    def refused(self, plugin: object, *tokens: str, error: type[Exception] = InvalidToken) -> str:
        text = ""
        for token in tokens:
            text = str(self.failureResultOf(ensure(plugin.look_up(token)), error).value.detail)  # type: ignore
        return text


def ensure(coroutine):
    from twisted.internet.defer import ensureDeferred

    return ensureDeferred(coroutine)


class TargetTests(SynchronousTestCase):
    def test_good(self) -> None:
        for text, target in (
            ("10.0.0.1:5900", Target(host="10.0.0.1", port=5900)),
            (" compute1.example.org:1\n", Target(host="compute1.example.org", port=1)),
            ("[2001:db8::1]:65535", Target(host="2001:db8::1", port=65535)),
            ("2001:db8::1:5900", Target(host="2001:db8::1", port=5900)),
            ("unix_socket:/run/vnc/a.sock", Target(socket="/run/vnc/a.sock")),
            ("unix_socket:/run/vnc/a:1", Target(socket="/run/vnc/a:1")),
        ):
            self.assertEqual(parse_target(text), target)

    def test_bad(self) -> None:
        for text in (
            *("", "host", ":5900", "host:", "host:0", "host:65536", "host:x", "host:-1", "host:٣", "a b:1", "h/x:1"),
            *("unix_socket:a.sock", "unix_socket:/a\0", "x" * 300 + ":1", "10.0.0.256:1", "host:00000000001"),
        ):
            self.assertRaises(ValueError, parse_target, text)
        self.assertNotIn("secret", str(self.assertRaises(ValueError, parse_target, "secret")))


class TokenFileTests(Case):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.logged = Logged(self)

    def write(self, text: str, path: Path | None = None) -> None:
        (path or self.path).write_text(text)

    def test_lines(self) -> None:
        self.write("# c: h:1\n\none: h1:1\ntwo:\th2:2  \nwith:colon: h3:3\none: h4:4\nsock: unix_socket:/s\n")
        plugin = TokenFile(str(self.path))
        for token, target in (("one", "h4:4"), ("two", "h2:2"), ("with:colon", "h3:3"), ("sock", "unix_socket:/s")):
            self.assertEqual(self.found(plugin, token), parse_target(target))
        self.refused(plugin, "", "c", "# c", "On", "one ", "three", "\udcff")

    def test_mistakes(self) -> None:
        """Each mistake is logged once for each version of the file, without the token."""
        self.write("secret1 h:1\nsecret2: h\nsecret3:h:1\n: h:1\ngood: h:1\n")
        plugin = TokenFile(str(self.path))
        self.found(plugin, "good")
        self.assertEqual(self.logged.lines("is skipped"), [])  # it may be created only for a check
        plugin.start()
        plugin.start()
        lines = self.logged.lines("is skipped")
        self.assertEqual([line.partition(" line ")[2][:1] for line in lines], ["1", "2", "3", "4"])
        self.assertNotIn("secret", "".join(lines))
        self.logged.clear()
        self.write("x\n" * 50)
        self.refused(plugin, "good")
        self.assertEqual(len(self.logged.lines("line ")), 20)
        self.assertEqual(len(self.logged.lines("30 further lines of token files are skipped")), 1)

    def test_changes(self) -> None:
        self.write("a: h:1\n")
        live, once = TokenFile(str(self.path)), ReadOnlyTokenFile(str(self.path))
        self.write("bb: h:2\n")
        self.refused(live, "a")
        self.assertEqual((self.found(live, "bb").port, self.found(once, "a").port), (2, 1))
        self.refused(once, "bb")
        self.path.unlink()
        self.assertIn("No such file", self.refused(live, "bb", error=ServiceUnavailable))
        self.write("c: h:3\n")
        self.assertEqual(self.found(live, "c").port, 3)

    def test_renewal(self) -> None:
        """A reload reads a ReadOnlyTokenFile again; a bad file changes nothing."""
        self.write("a: h:1\n")
        plugin = ReadOnlyTokenFile(str(self.path))
        self.write("b: h:2\n")
        use = plugin.renewal()
        self.refused(plugin, "b")
        use()
        self.assertEqual(self.found(plugin, "b").port, 2)
        self.path.unlink()
        self.assertRaises(ValueError, plugin.renewal)
        self.assertEqual(self.found(plugin, "b").port, 2)
        self.assertEqual((plugin.reads_once, TokenFile.reads_once), (True, False))

    def test_an_unchanged_file_is_not_read_again(self) -> None:
        self.write("a: h:1\n")
        plugin = TokenFile(str(self.path))
        self.patch(token_file.TokenFile, "_load", None)
        self.found(plugin, "a")

    def test_a_folder(self) -> None:
        """All files in it are read, but no folders; the last file with a token counts."""
        self.path.mkdir()
        self.write("a: h:1\nb: h:1\n", self.path / "1.cfg")
        self.write("b: h:2\n", self.path / "2.cfg")
        (self.path / "folder").mkdir()
        plugin = TokenFile(str(self.path))
        self.assertEqual((self.found(plugin, "a").port, self.found(plugin, "b").port), (1, 2))
        self.write("c: h:3\n", self.path / "3.cfg")
        self.assertEqual(self.found(plugin, "c").port, 3)
        (self.path / "1.cfg").unlink()
        self.refused(plugin, "a")

    def test_bounds(self) -> None:
        self.patch(token_file, "MAX_BYTES", 64)
        self.patch(token_file, "MAX_FILES", 3)
        self.write("#" * 64)
        TokenFile(str(self.path))
        self.write("x" * 65)
        self.assertIn("larger than", str(self.assertRaises(ValueError, TokenFile, str(self.path))))
        folder = Path(self.mktemp())
        folder.mkdir()
        for number in range(4):
            (folder / f"{number}").touch()
        (folder / "3").unlink()
        TokenFile(str(folder))
        (folder / "3").touch()
        self.assertIn("more than 3 files", str(self.assertRaises(ValueError, TokenFile, str(folder))))

    def test_a_file_that_grows_while_it_is_read(self) -> None:
        """The whole file is refused: without its end, tokens would be missing, or a port would be wrong."""
        self.patch(token_file, "MAX_BYTES", 64)
        self.write("a: h:1\n")
        plugin = TokenFile(str(self.path))
        before = plugin._state_now()
        self.write(f"a: h:{' ' * 64}12\n")
        self.assertIn("larger than", str(self.assertRaises(ValueError, plugin._load, before)))
        folder = Path(self.mktemp())
        folder.mkdir()
        files = [folder / "1", folder / "2"]
        for file in files:
            self.write("#" * 20, file)
        plugin = TokenFile(str(folder))
        before = plugin._state_now()
        for file in files:
            self.write("#" * 40, file)
        self.assertIn("larger than", str(self.assertRaises(ValueError, plugin._load, before)))

    def test_no_file(self) -> None:
        self.assertEqual(
            str(self.assertRaises(ValueError, TokenFile, "/nowhere")), "/nowhere: No such file or directory"
        )
        os.mkfifo(self.path)
        for path in ("/dev/null", str(self.path)):
            self.assertIn("neither a file", str(self.assertRaises(ValueError, TokenFile, path)))

    def test_no_token_in_memory(self) -> None:
        self.write("secret-token: h:1\n")
        self.assertNotIn("secret-token", repr(vars(TokenFile(str(self.path)))))


class TokenFileNameTests(Case):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.plugin = TokenFileName(str(self.folder))

    def test_files(self) -> None:
        (self.folder / "a.b").write_text("h:1\n")
        self.assertEqual(self.found(self.plugin, "a.b"), Target(host="h", port=1))
        self.refused(self.plugin, "c")
        (self.folder / "bad").write_text("secret")
        self.assertNotIn("secret", self.refused(self.plugin, "bad", error=ServiceUnavailable))
        (self.folder / "latin").write_bytes(b"\xff:1")
        self.refused(self.plugin, "latin")

    def test_a_long_file(self) -> None:
        """It is refused: its beginning would name a wrong port."""
        target = f"{' ' * 1019}h:590"
        (self.folder / "longest").write_text(target)
        (self.folder / "longer").write_text(f"{target}1")
        self.assertEqual(self.found(self.plugin, "longest"), Target(host="h", port=590))
        self.assertIn("more than 1024 bytes", self.refused(self.plugin, "longer", error=ServiceUnavailable))

    def test_escapes(self) -> None:
        """A token cannot name a file outside the folder, a link, a folder or a pipe."""
        (self.folder.parent / "x").write_text("h:1")
        (self.folder / "link").symlink_to(self.folder.parent.absolute() / "x")
        (self.folder / "folder").mkdir()
        os.mkfifo(self.folder / "pipe")
        before = os.listdir("/proc/self/fd")  # noqa: PTH208
        self.refused(self.plugin, *ESCAPES, "link", "folder", "pipe", "x" * 255, "x" * 256)
        self.assertEqual(len(os.listdir("/proc/self/fd")), len(before))  # noqa: PTH208

    def test_a_source_that_cannot_be_read(self) -> None:
        """The error is not InvalidToken, since the token may be valid."""

        def fails(*_: object) -> int:
            raise OSError(errno.EMFILE, "Too many open files")

        with mock.patch("os.open", fails):
            self.assertIn("Too many open files", self.refused(self.plugin, "a", error=ServiceUnavailable))
        self.folder.rmdir()
        self.refused(self.plugin, "a", error=ServiceUnavailable)

    def test_no_folder(self) -> None:
        self.assertRaises(ValueError, TokenFileName, "/dev/null")


class SocketTests(Case):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())  # socket paths must be short
        self.addCleanup(shutil.rmtree, self.folder)
        self.inside = self.folder / "vnc"
        (self.inside / "sub").mkdir(parents=True)
        self.plugin = UnixDomainSocketDirectory(str(self.inside))

    def listen(self, path: Path) -> None:
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(str(path))

    def test_sockets(self) -> None:
        for token in ("a.sock", "sub/b"):
            self.listen(self.inside / token)
            self.assertEqual(self.found(self.plugin, token), Target(socket=f"{self.inside}/{token}"))
        self.assertEqual(self.plugin.directories, (str(self.inside),))
        (self.inside / "file").touch()
        self.refused(self.plugin, "file", "sub", "none")

    def test_escapes(self) -> None:
        """A token leads neither upwards, nor to a folder whose name begins the same way, nor through a link."""
        (self.folder / "vnc-other").mkdir()
        self.listen(self.folder / "vnc-other" / "x")
        self.listen(self.folder / "x")
        (self.inside / "link").symlink_to(self.folder / "x")
        (self.inside / "up").symlink_to(self.folder)
        self.refused(self.plugin, *ESCAPES, "../vnc-other/x", "link", "up/x", f"{self.folder}/x", "x" * 256)

    def test_the_folder_is_gone(self) -> None:
        shutil.rmtree(self.inside)
        self.refused(self.plugin, "a", error=ServiceUnavailable)


class NameTests(SynchronousTestCase):
    def test_names(self) -> None:
        path = Path(self.mktemp())
        path.write_text("a: h:1\n")
        self.assertIsInstance(make_plugin(None, "ReadOnlyTokenFile", str(path)), ReadOnlyTokenFile)
        self.assertIn("TokenFile", str(self.assertRaises(ValueError, make_plugin, None, "MyPlugin", "x")))
