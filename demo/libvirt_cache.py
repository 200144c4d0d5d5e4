"""libvirt's cache of QEMU's capabilities, kept for the next demo, because libvirt needs seconds to detect them."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

_BELOW = ("libvirt", "qemu", "cache", "capabilities")

_MOST = 1 << 22
"""Maximum size of a file of libvirt's cache, in bytes."""


def fetch(cache: Path | None, root: Path) -> None:
    """Fill the folder of libvirtd's cache with the files that an earlier demo kept, if there are any."""
    target = root.joinpath(*_BELOW)
    if cache is None or not cache.is_dir():
        return
    target.mkdir(parents=True)
    with contextlib.suppress(OSError):
        _copy_xml(_open_folder(cache), target)


def keep(cache: Path | None, root: Path) -> None:
    """Copy libvirtd's cache for the next demo."""
    if cache is None:
        return
    with contextlib.suppress(OSError):  # it does not exist yet
        source = _open_folder(root, *_BELOW)
        cache.mkdir(parents=True, exist_ok=True)
        _copy_xml(source, cache)


def _open_folder(path: Path, *below: str) -> int:
    """Open a folder below another one.  Follow no links, because the owner of the folders may be another user.

    :raises OSError: one of the folders does not exist, or is not a folder.
    """
    kind = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    folder = os.open(path, kind)
    for name in below:
        try:
            inner = os.open(name, kind, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    return folder


def _copy_xml(source: int, target: Path) -> None:
    """Copy the regular files of a folder, which is given as a descriptor, and close it.

    The folder may belong to another user, so neither symbolic links nor hard links to other users' files are followed.
    """
    try:
        owner = os.fstat(source).st_uid
        for name in os.listdir(source):
            if not name.endswith(".xml"):
                continue
            item = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=source)
            with os.fdopen(item, "rb") as content:
                found = os.fstat(content.fileno())
                if not stat.S_ISREG(found.st_mode) or found.st_uid != owner:
                    continue
                # Replaced as a whole, because another demo may read it now.
                with tempfile.NamedTemporaryFile(dir=target, delete=False) as copy:
                    copy.write(content.read(_MOST))
                Path(copy.name).replace(target / name)
    finally:
        os.close(source)
