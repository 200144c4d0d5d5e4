"""The proxy dials only unix sockets in the configured folders, and exactly the socket that it has checked."""

import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.session.upstream import socket_path


class Pinned(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.allowed = self.folder / "allowed"
        self.outside = self.folder / "outside"
        for folder in (self.allowed / "domain-1", self.outside):
            folder.mkdir(parents=True)
        self.good = self.listen(self.allowed / "domain-1" / "vnc.sock")
        self.evil = self.listen(self.outside / "vnc.sock")

    def listen(self, path: Path) -> socket.socket:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen()
        listening.setblocking(False)
        self.addCleanup(listening.close)
        return listening

    def connect(self, path: Path | str, directories: Sequence[str] | None = None) -> None:
        with (
            socket_path.pinned_socket(str(path), directories or [str(self.allowed)]) as pinned,
            socket.socket(socket.AF_UNIX) as client,
        ):
            client.connect(pinned)

    def refused(self, path: Path | str, why: str, directories: Sequence[str] | None = None) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        failure = self.assertRaises(ConsoleUnreachable, self.connect, path, directories)
        self.assertIn(why, failure.detail)
        self.assertEqual(len(list(Path("/proc/self/fd").iterdir())), before)

    def test_where_it_may_be(self) -> None:
        self.connect(self.allowed / "domain-1" / "vnc.sock")
        self.good.accept()[0].close()

    def test_a_folder_with_a_slash_behind(self) -> None:
        self.connect(self.allowed / "domain-1" / "vnc.sock", ["/nowhere", f"{self.allowed}/"])

    def test_outside(self) -> None:
        self.refused(self.outside / "vnc.sock", "socket_directories")
        self.refused(f"{self.allowed}/../outside/vnc.sock", "absolute path")
        self.refused(f"{self.allowed}-2/vnc.sock", "socket_directories")
        self.refused("allowed/vnc.sock", "absolute path")
        self.refused(self.allowed, "socket_directories")
        self.refused(self.allowed / "domain-1" / "vnc.sock", "socket_directories", ["relative", "/x/../"])

    def test_links(self) -> None:
        (self.allowed / "link.sock").symlink_to(self.outside / "vnc.sock")
        self.refused(self.allowed / "link.sock", "not a socket")
        (self.allowed / "domain-2").symlink_to(self.outside)
        self.refused(self.allowed / "domain-2" / "vnc.sock", "can't open")

    def test_hard_links(self) -> None:
        """CVE-2026-7374, CVE-2026-13201 with a hard link: O_NOFOLLOW permits it, and its owner may be trusted."""
        (self.allowed / "hard.sock").hardlink_to(self.outside / "vnc.sock")
        self.refused(self.allowed / "hard.sock", "hard link")
        self.refused(self.allowed / "hard.sock", "hard link", [str(self.folder)])
        (self.outside / "vnc.sock").unlink()  # only one link is left, as if the socket had been moved
        self.connect(self.allowed / "hard.sock")

    def test_what_is_none(self) -> None:
        (self.allowed / "file").write_text("")
        self.refused(self.allowed / "file", "not a socket")
        self.refused(self.allowed / "domain-1", "not a socket")
        self.refused(self.allowed / "missing", "can't open")

    def test_somebody_elses(self) -> None:
        with mock.patch.object(socket_path, "trusted_owners", return_value={12345678}):
            self.refused(self.allowed / "domain-1" / "vnc.sock", "belongs to user")
        self.assertIn(0, socket_path.trusted_owners())
        self.assertIn(os.geteuid(), socket_path.trusted_owners())

    def test_what_is_put_in_its_place_meanwhile_is_not_dialled(self) -> None:
        path = self.allowed / "domain-1" / "vnc.sock"
        with socket_path.pinned_socket(str(path), [str(self.allowed)]) as pinned:
            path.unlink()
            path.symlink_to(self.outside / "vnc.sock")
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(pinned)
        self.good.accept()[0].close()
        self.assertRaises(BlockingIOError, self.evil.accept)
