"""The page's modules without a browser, under Node's test runner; page and proxy agree on the refusals."""

import json
import shutil
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import TABLE

WEB = Path(__file__).parents[2] / "novnc_twisted" / "web"

ITS_OWN_SENTENCE = {1000, 1003, 1009}
"""Close codes with one cause, but another sentence on the page: the table's sentence also advises other viewers."""


async def node(*arguments: str) -> str:
    """Run node, and return its output; a failure shows its standard error as well."""
    beside = str(Path(sys.executable).parent)  # where the set-up installs it on a machine without node
    path = shutil.which("node") or shutil.which("node", path=beside)
    if path is None:
        raise FileNotFoundError("node is not installed: apt-get install nodejs")
    out, err, code = await getProcessOutputAndValue(path, arguments, env=None, path=str(WEB), reactor=reactor)
    if code:
        raise AssertionError((out + err).decode(errors="replace"))
    return out.decode()


class ModulesTest(TestCase):
    timeout = 300

    async def test_modules(self):
        await node("--test", *[str(path) for path in sorted((WEB / "test").glob("*.test.js"))])

    async def test_refusals(self):
        """The page has a sentence for every close code; for a code with one cause it is that of the table."""
        script = "import('./src/strings.js').then(({refusals}) => console.log(JSON.stringify(refusals)))"
        words = {int(code): row["sentence"] for code, row in json.loads(await node("-e", script)).items()}
        sentences: dict[int, list[str]] = {}
        for row in TABLE.values():
            sentences.setdefault(row.close_code, []).append(row.sentence)
        self.assertEqual(sorted(words), sorted(sentences))
        for code, of_table in sentences.items():
            if len(of_table) == 1 and code not in ITS_OWN_SENTENCE:
                self.assertEqual([words[code]], of_table)
        for code in (4401, 4429):
            self.assertIn(words[code], sentences[code])

    def test_causes(self):
        """The translations know every sentence of the table; scripts/generate_refusals.py writes the file."""
        causes = json.loads((WEB / "src" / "locales" / "causes.json").read_text())
        self.assertEqual(causes, {name: row.sentence for name, row in TABLE.items()})

    def test_lock_file(self):
        """The lock file contains versions and checksums, but no addresses to download from."""
        lock = (WEB / "package-lock.json").read_text()
        self.assertNotIn("resolved", lock)
        self.assertNotIn("http", lock.replace("https://opencollective.com", "").replace("https://github.com", ""))
        for name, package in json.loads(lock)["packages"].items():
            self.assertTrue(not name or package["integrity"].startswith("sha512-"), name)
