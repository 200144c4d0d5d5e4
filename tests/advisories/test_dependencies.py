"""Advisories that do not concern us: fixed in all releases that we accept, or about modules that we do not use."""

import json
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version
from twisted.trial.unittest import TestCase

import novnc_twisted

NOT_USED = {
    "twisted.names": "CVE-2026-42304: a name that points to itself",
    "twisted.conch": "CVE-2022-21716: an SSH banner of any length",
    "twisted.web.static": "redirects and directory listings",
    "twisted.web.util": "CVE-2024-41810: redirectTo",
    "twisted.web.vhost": "CVE-2022-39348: NameVirtualHost",
    "twisted.protocols.amp": "our bus does not use it",
    "redis": "CVE-2023-28858, CVE-2023-28859: its asyncio pool",
    "websockets": "CVE-2018-1000518",
    "pickle": "data from the network or the store must not be unpickled",
}
"""Modules that we do not import, and the reasons."""

FIXED = {"Twisted": "26.4", "autobahn": "20.12.3", "cryptography": "42", "defusedxml": "0.7"}
"""The first releases with all known fixes; earlier ones must not be accepted."""


def imports_of(module: str) -> re.Pattern[str]:
    """A pattern for the statements that import a module, or a name from it."""
    package, _, name = module.rpartition(".")
    pattern = rf"^\s*(?:from|import) {re.escape(module)}(?!\w)"
    if package:
        pattern += rf"|^\s*from {re.escape(package)} import (?:\([^)]*|[^(\n]*)\b{name}\b"
    return re.compile(pattern, re.M)


class DependencyTests(TestCase):
    def test_the_oldest_that_may_be_installed(self) -> None:
        """CVE-2026-42304, CVE-2024-41671, CVE-2023-46137, CVE-2020-35678: older releases are not accepted."""
        wanted = {one.name: one.specifier for one in map(Requirement, requires("novnc-twisted") or [])}
        for name, fixed in FIXED.items():
            (least,) = [Version(clause.version) for clause in wanted[name] if clause.operator == ">="]
            self.assertGreaterEqual(least, Version(fixed), name)

    def test_no_client_that_follows_redirects(self) -> None:
        """A client that follows redirects may send credentials to other servers."""
        package = Path(novnc_twisted.__file__).parent
        texts = {path: path.read_text() for path in package.rglob("*.py") if "node_modules" not in path.parts}
        importing = {
            path.relative_to(package).as_posix() for path, text in texts.items() if "twisted.web.client" in text
        }
        self.assertEqual(importing, {"http/client.py"})
        for path, text in texts.items():
            self.assertNotRegex(text, "RedirectAgent|CookieAgent|getPage|downloadPage", path)

    def test_forms_of_an_import(self) -> None:
        pattern = imports_of("twisted.web.static")
        for words in (
            "import twisted.web.static",
            "from twisted.web.static import File",
            "from twisted.web import http, static",
            "from twisted.web import (\n    http,\n    static,\n)",
        ):
            self.assertRegex(f"x\n    {words}\n", pattern)
        for words in ("import twisted.web.static_files", "from twisted.web import http", "from here import static"):
            self.assertNotRegex(f"x\n    {words}\n", pattern)

    def test_what_is_not_used(self) -> None:
        """Our modules do not import them, and do not load DNS, SSH, redis or websockets indirectly."""
        package = Path(novnc_twisted.__file__).parent
        names = []
        for path in sorted(package.rglob("*.py")):
            if "node_modules" in path.parts:
                continue
            names.append(".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"))
            for module in NOT_USED:
                self.assertNotRegex(path.read_text(), imports_of(module), path)
        program = "import importlib, json, sys\nfor name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        words = [sys.executable, "-c", f"{program}print(json.dumps(sorted(sys.modules)))", json.dumps(names)]
        loaded = json.loads(subprocess.run(words, check=True, capture_output=True, timeout=240).stdout.splitlines()[-1])
        self.assertIn("novnc_twisted.service.console", loaded)
        for module in ("twisted.names", "twisted.conch", "redis", "websockets"):
            self.assertEqual([name for name in loaded if name == module or name.startswith(f"{module}.")], [])
