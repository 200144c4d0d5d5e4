"""The demo, started by root: only the demo itself runs as root, and root writes only where no one else can."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from demo.libvirtd import LibvirtdFailed, PrivateLibvirtd
from tests.integration.test_demo import DEADLINE, LAST_LINE, ROOT, Demo

NOBODY = {"user": "nobody", "group": "nogroup", "extra_groups": ()}


class RightsTests(SynchronousTestCase):
    """These tests run as root; for other users, sudo runs them."""

    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.by_sudo()

    def by_sudo(self) -> None:
        """Run this test again as root."""
        words = ["sudo", "-n", sys.executable, "-B", "-m", "twisted.trial", "--temp-directory", tempfile.mkdtemp()]
        done = subprocess.run([*words, self.id()], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def as_nobody(self, *command: str) -> int:
        """Run a command as libvirtd's user, and return its exit code."""
        return subprocess.run(command, stderr=subprocess.DEVNULL, timeout=DEADLINE, **NOBODY).returncode

    def test_processes(self) -> None:
        """libvirtd, its VM and the services run as the user nobody, who cannot change files that root wrote."""
        if os.geteuid() != 0:
            return
        demo = Demo(self)  # type: ignore[arg-type]
        demo.read_until(LAST_LINE)
        users: dict[str, set[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    command = (entry / "cmdline").read_bytes().decode(errors="replace")
                    if f"{demo.folder}/" in command:
                        program = "twistd" if "twistd" in command else command.split("\0")[0].rpartition("/")[2]
                        users.setdefault(program, set()).add(entry.stat().st_uid)
                except OSError:  # it has ended
                    continue
        self.assertIn("twistd", users)
        self.assertIn("libvirtd", users)
        self.assertEqual({uid for uids in users.values() for uid in uids}, {65534}, users)
        self.assertEqual((demo.folder.stat().st_uid, demo.folder.stat().st_mode & 0o777), (0, 0o711))
        for path in (demo.folder / "nova.conf", demo.folder / "console.log"):
            self.assertEqual((path.stat().st_uid, path.stat().st_mode & 0o022), (0, 0), path)
        self.assertNotEqual(self.as_nobody("touch", f"{demo.folder}/x"), 0)
        demo.process.terminate()
        self.assertEqual(demo.wait(), 0)
        demo.assert_nothing_left()

    def test_links(self) -> None:
        """Root follows no link that libvirtd's user made: neither when it writes nor when it reads."""
        if os.geteuid() != 0:
            return
        target, cache = Path(self.mktemp()).absolute(), Path(self.mktemp()).absolute()
        for folder in (target, cache):
            folder.mkdir()
        (target / "secret.xml").write_text("<secret/>")
        (cache / "known.xml").write_text("<known/>")
        target.chmod(0o700)
        with PrivateLibvirtd(cache=cache) as libvirtd:
            copied = libvirtd.root / "k" / "libvirt" / "qemu" / "cache" / "capabilities" / "known.xml"
            self.assertEqual(copied.read_text(), "<known/>")
            for folder in ("", "i"):
                self.assertNotEqual(
                    self.as_nobody("ln", "-s", str(target), str(libvirtd.root / folder / "guest.img")), 0
                )
            for name in ("capabilities", "libvirt"):
                libvirtd.kill()
                folder = libvirtd.root / "k" / name if name == "libvirt" else copied.parent
                self.assertEqual(self.as_nobody("mv", str(folder), f"{folder}.old"), 0)
                self.assertEqual(self.as_nobody("ln", "-s", str(target), str(folder)), 0)
                # libvirtd's user may not enter the target, so libvirtd exits, before or after its socket answers.
                with contextlib.suppress(LibvirtdFailed):
                    libvirtd.start()
        self.assertEqual([path.name for path in target.iterdir()], ["secret.xml"])
        self.assertNotIn("secret.xml", [path.name for path in cache.iterdir()])
