"""The documents build."""

import os
import sys
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import TABLE
from tests.test_docs import DOCS, PAGES, README, ROOT

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


async def run(*arguments: str) -> tuple[str, str, int]:
    """Run Python with these arguments; return its standard output, standard error and exit code."""
    out, err, code = await getProcessOutputAndValue(sys.executable, arguments, env=ENVIRONMENT, path="/")
    return out.decode(), err.decode(), code


class Building(TestCase):
    """``make docs``."""

    timeout = 300

    async def test_without_a_warning(self) -> None:
        out = Path(self.mktemp()).absolute()
        words = ["-m", "sphinx", "-n", "-q", "-W", "--keep-going", "-b", "html", "-d", f"{out}/trees", str(DOCS)]
        self.assertEqual(await run(*words, f"{out}/html"), ("", "", 0))
        for page in (page for page in PAGES if page != README):
            self.assertTrue((out / "html" / f"{page.stem}.html").exists(), page)
        # The generated table of refusals has an anchor for each name.
        operations = (out / "html" / "operations.html").read_text()
        for name in TABLE:
            self.assertIn(f'id="{name.lower()}"', operations)
