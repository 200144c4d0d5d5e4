"""All targets, by name, and their corpus.  A new target needs an entry here only if its module is new."""

from importlib import import_module
from pathlib import Path

from .tools import Target

MODULES = (
    "rfb",
    "shield",
    "view_only",
    "server",
    "frames",
    "heads",
    "places",
    "page",
    "pages",
    "channel",
    "plugins",
    "bus",
    "redis",
    "directory",
    "compute",
    "settings",
    "api",
    "fronts",
)
CORPUS = Path(__file__).parent / "corpus"


def targets(*modules: str) -> dict[str, Target]:
    """The targets of these modules, or of all modules.

    :raises ValueError: two targets have the same name.
    """
    found: dict[str, Target] = {}
    for module in modules or MODULES:
        for target in import_module(f"tests.fuzz.{module}").TARGETS:
            if target.name in found:
                raise ValueError(f"two targets are called {target.name}")
            found[target.name] = target
    return found


def module_of(target: Target) -> str:
    """The module that defines a target, as an argument for :func:`targets`."""
    return target.run.__module__.rpartition(".")[2]


def corpus(name: str) -> list[bytes]:
    """The corpus of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
