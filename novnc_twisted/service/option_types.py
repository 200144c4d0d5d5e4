"""What the items of some lists must be, beyond what oslo.config knows."""

from collections.abc import Callable
from pathlib import PurePosixPath

from oslo_config import types

from novnc_twisted.access.forwarded import networks


class Checked(types.String):
    """A text that a function finds good; it raises ValueError where not."""

    def __init__(self, check: Callable[[str], object]) -> None:
        super().__init__()
        self._check = check

    def __call__(self, value: object) -> str:
        """The text."""
        text = str(super().__call__(value))
        self._check(text)
        return text


def network(text: str) -> None:
    """An address, or a network as ``10.0.0.0/8``."""
    networks([text])


def absolute_folder(text: str) -> None:
    """An absolute path that leads nowhere else."""
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{text} is not an absolute folder")


def policy_source(text: str) -> None:
    """A source of Content-Security-Policy, which cannot begin another directive or header."""
    if not text.isascii() or not text.isprintable() or set(text) & set("; ,"):
        raise ValueError(f"{text} is not a source of Content-Security-Policy")
