"""``scripts/check_all.py``: the order in which it tries interpreters."""

import os
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.support.scripts import load


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
        self.assertEqual(load("check_all").candidates("3.12"), list(map(str, python)))
