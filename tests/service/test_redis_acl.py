"""``novnc-redis-acl``: what it writes, with which owner and mode, and what it does not change."""

import io
import os
import stat
import sys
import tomllib
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service.configuration import read_configuration
from novnc_twisted.service.redis_acl import main

ROLES = ("api", "consoleauth", "proxy", "compute.one@10.0.0.31")


class CommandCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()) / "users"

    def run_it(self, *arguments: str, stdin: str = "") -> str:
        """Run it, and return what it prints."""
        out = io.StringIO()
        with redirect_stdout(out), mock.patch.object(sys, "stdin", io.StringIO(stdin)):
            main(arguments)
        return out.getvalue()

    def make(self, *arguments: str) -> str:
        return self.run_it("--into", str(self.folder), *arguments)

    def fails(self, *arguments: str, stdin: str = "") -> str:
        """Return its error, which must be one line."""
        with self.assertRaises(SystemExit) as caught:
            self.run_it(*arguments, stdin=stdin)
        line = str(caught.exception)
        self.assertTrue(line.startswith("novnc-redis-acl: "), line)
        self.assertNotIn("\n", line)
        return line

    def lines(self) -> dict[str, str]:
        """Return the lines of ``users.acl`` by their user."""
        lines = (self.folder / "users.acl").read_text().splitlines()
        return {line.split()[1]: line for line in lines}


class CommandTests(CommandCase):
    def test_files(self) -> None:
        printed = self.make(*ROLES).splitlines()
        names = ["users.acl", "api.conf", "consoleauth.conf", "proxy.conf", "compute.one.conf"]
        self.assertEqual(printed, [str(self.folder / name) for name in names])
        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode), 0o700)
        for name in names:
            self.assertEqual(stat.S_IMODE((self.folder / name).stat().st_mode), 0o600)
        users = self.lines()
        self.assertEqual(users["default"], "user default off ~* +@write")
        self.assertEqual(
            sorted(users), ["default", "novnc-api", "novnc-compute.one", "novnc-consoleauth", "novnc-proxy"]
        )
        passwords = set()
        for path in self.folder.glob("*.conf"):
            conf, warnings = read_configuration([str(path)])
            self.assertEqual(warnings, [])
            user, _, rest = conf.transport_url.removeprefix("redis://").partition(":")
            password, _, at = rest.partition("@")
            self.assertEqual((user, at), (f"novnc-{path.stem}", "controller:6379/0"))
            self.assertGreater(len(password), 40)
            passwords.add(password)
            self.assertNotIn(password, (self.folder / "users.acl").read_text())
        self.assertEqual(len(passwords), len(ROLES))

    def test_a_compute_host_gets_its_name_and_address(self) -> None:
        self.make("compute.one@10.0.0.31")
        conf, _ = read_configuration([str(self.folder / "compute.one.conf")])
        self.assertEqual((conf.host, conf.vnc.server_proxyclient_address), ("one", "10.0.0.31"))

    def test_one_more_leaves_the_others(self) -> None:
        self.make(*ROLES)
        before = self.lines()
        printed = self.make("compute.two@10.0.0.32", "proxy")
        self.assertEqual(printed.splitlines(), [str(self.folder / name) for name in ("users.acl", "compute.two.conf")])
        after = self.lines()
        self.assertTrue(after.pop("novnc-compute.two").startswith("user novnc-compute.two reset on #"))
        self.assertEqual(after, before)
        self.make()
        self.assertEqual(set(self.lines()) - set(before), {"novnc-compute.two"})

    def test_one_less_and_a_new_password(self) -> None:
        self.make(*ROLES)
        before = self.lines()
        (self.folder / "proxy.conf").unlink()
        self.make()
        self.assertNotIn("novnc-proxy", self.lines())
        self.make("proxy")
        self.assertNotEqual(self.lines()["novnc-proxy"], before["novnc-proxy"])

    def test_urls(self) -> None:
        url = "rediss://[fd00::11]:6380/2?ca=/etc/nova/ca.pem"
        self.make("proxy", "--url", url)
        conf, _ = read_configuration([str(self.folder / "proxy.conf")])
        self.assertRegex(conf.transport_url, r"^rediss://novnc-proxy:[\w-]+@\[fd00::11\]:6380/2\?ca=/etc/nova/ca.pem$")

    def test_it_is_installed_by_this_name(self) -> None:
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
        self.assertEqual(project["scripts"]["novnc-redis-acl"], f"{main.__module__}:{main.__name__}")

    def test_the_line_alone(self) -> None:
        line = self.run_it("--password-stdin", "proxy", stdin="a long enough password\n")
        self.assertTrue(line.startswith("user novnc-proxy reset on #"))
        self.assertNotIn("long", line)

    def test_mistakes(self) -> None:
        into = ("--into", str(self.folder))
        self.make("compute.one@10.0.0.31")
        for arguments, names in (
            (("proxy",), "--into"),
            ((*into, "--password-stdin", "proxy"), "--into"),
            ((*into, "admin"), "api, consoleauth, proxy"),
            ((*into, "compute.one"), "compute.HOST@ADDRESS"),
            ((*into, "compute.one@10.0.0.99"), "compute.one.conf"),
            ((*into, "proxy", "--url", "memory://"), "--url"),
            ((*into, "proxy", "--url", "redis://user:secret@controller"), "--url"),
            (("--into", "/proc/nowhere", "proxy"), "/proc/nowhere"),
            (("--password-stdin", "proxy", "api"), "one role"),
        ):
            line = self.fails(*arguments, stdin="a long enough password\n")
            self.assertIn(names, line)
            self.assertNotIn("secret", line)
        self.assertIn("16 characters", self.fails("--password-stdin", "proxy", stdin="short\n"))
        (self.folder / "notes.conf").write_text("[DEFAULT]\n")
        self.assertIn("notes.conf", self.fails(*into))
        (self.folder / "notes.conf").rename(self.folder / "proxy.conf")
        self.assertIn("proxy.conf", self.fails(*into))


class TrustTests(CommandCase):
    """Files that another user may have written are refused: their passwords would be used in users.acl."""

    def setUp(self) -> None:
        super().setUp()
        self.make("api")
        self.written = {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def refuses(self, why: str) -> None:
        """Check that nothing is written, for this reason."""
        line = self.fails("--into", str(self.folder), "api", "proxy")
        self.assertIn(why, line)
        self.assertIn("--into", line)
        self.assertEqual((self.folder / "users.acl").read_bytes(), self.written["users.acl"])
        self.assertFalse((self.folder / "proxy.conf").exists())

    def test_written_by_others(self) -> None:
        for path, mode in ((self.folder, 0o777), (self.folder, 0o770), (self.folder / "api.conf", 0o660)):
            before = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode)
            self.refuses(f"{path} can be written by its group or by everybody")
            path.chmod(before)
        self.make("proxy")

    def test_links(self) -> None:
        api, real = self.folder / "api.conf", self.folder.parent / "real.conf"
        api.rename(real)
        api.symlink_to(real.absolute())
        self.refuses("is a symbolic link")
        api.unlink()
        api.hardlink_to(real)
        self.refuses("hard link")
        api.unlink()
        os.mkfifo(api)
        self.refuses("not a plain file")

    def test_a_folder_that_is_a_link(self) -> None:
        real = self.folder.parent / "real"
        self.folder.rename(real)
        self.folder.symlink_to(real.absolute())
        self.refuses("is a symbolic link")

    def test_of_another_user(self) -> None:
        """Only root can change the owner of a file; for other users, geteuid is patched."""
        if os.geteuid() == 0:
            os.chown(self.folder / "api.conf", 12345, -1)
            self.refuses("belongs to another user (uid 12345)")
            return
        with mock.patch("os.geteuid", return_value=os.geteuid() + 1):
            self.refuses("belongs to another user")
