"""Checks the folders that options name."""

from pathlib import Path

from novnc_twisted.service.exits import Unusable


def is_folder(path: Path, option: str) -> bool:
    """Return whether a path is a folder.

    :param option: the option that names the path.
    :raises Unusable: the path cannot be examined, for example because this process may not search the folder above it.
    """
    try:
        return path.is_dir()
    except OSError as error:
        raise Unusable(f"{option}: can't examine {path}: {error.strerror}") from None
