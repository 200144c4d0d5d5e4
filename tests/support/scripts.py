"""Load scripts of the project as modules; the folder ``scripts`` is not a package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

SCRIPTS: Final = Path(__file__).parents[2] / "scripts"


def load(name: str) -> ModuleType:
    """Return a script as a module.

    :param name: the name of its file without ``.py``.
    """
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look it up there
    spec.loader.exec_module(module)
    return module
