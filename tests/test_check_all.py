"""``scripts/check_all.py``: the order in which it tries interpreters."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import TestCase

ROOT = Path(__file__).parent.parent


def load() -> ModuleType:
    """The script as a module; ``scripts`` is not a package."""
    spec = importlib.util.spec_from_file_location("check_all", ROOT / "scripts" / "check_all.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Candidates(TestCase):
    def test_the_newest_first(self) -> None:
        folder = Path(self.mktemp()).absolute()
        pyenv = ["3.12.10", "3.12.9", "3.12.0", "3.12.0rc2"]
        uv = [f"cpython-{name}-linux-x86_64-gnu" for name in ("3.12.11", "3.12.3")]
        python = [
            *(folder / "versions" / name / "bin" / "python3.12" for name in pyenv),
            *(folder / "uv" / name / "bin" / "python3.12" for name in uv),
        ]
        for path in sorted(python):
            path.parent.mkdir(parents=True)
            path.touch()
        changed = {"PATH": str(folder), "PYENV_ROOT": str(folder), "UV_PYTHON_INSTALL_DIR": str(folder / "uv")}
        self.patch(os, "environ", os.environ | changed)
        self.assertEqual(load().candidates("3.12"), list(map(str, python)))
