"""The names of modules, classes, functions and constants: none contains a word that our dictionary replaces."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("novnc_twisted", "twisted", "tests", "benchmarks", "scripts", "demo")
SKIPPED = {"node_modules", "dist", "build", "corpus", "__pycache__"}

REPLACED = {
    "patience": "timeout, deadline",
    "seat": "session slot",
    "keeper": "token lease",
    "told": "notified, sent, received",
    "tells": "notifies, sends, reports",
    "whoever": "any client that",
    "lean": "detached relay",
    "entrance": "listener",
    "departures": "vanished domains",
    "neighbourhood": "domain with conflicts",
    "rivals": "domain with conflicts",
    "pulse": "heartbeat",
    "doubt": "grace period",
    "dressed": "branded",
}
"""Words that no name may contain, and what to write instead."""

REPLACED_ALONE = {
    "house": "architecture",
    "room": "package",
    "floor": "layer",
    "talk": "handshake",
    "conversation": "handshake driver",
    "line": "handshake channel",
    "wheel": "timer wheel",
    "half": "side",
    "pair": "relay",
    "ends": "stream end",
    "dialled": "upstream protocol",
    "losses": "loss reasons",
    "parts": "builders",
    "assembly": "make_service",
    "ending": "lifecycle",
    "claims": "address conflicts",
}
"""Words that may not be the whole name of a module or class, but may be a part of it."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PY_DEFINITION = re.compile(r"\b(?:class|def)\s+\w")
_PY_CLASS = re.compile(r"\bclass\s+(\w+)")
_JS_NAME = re.compile(r"\b(?:class|function\*?|const(?= [A-Z_]{2,} ))\s+#?(\w+)")


def words(name: str) -> list[str]:
    """The words of a name, in lower case, without the ``test_`` of a module of tests."""
    return [word.lower() for word in _WORD.findall(name.removeprefix("test_"))]


def complaint(name: str, kind: str) -> str:
    """What to write instead of a name; empty: the name is good."""
    found = words(name)
    instead = next((REPLACED[word] for word in found if word in REPLACED), "")
    if kind in ("module", "class") and len(found) == 1:
        instead = instead or REPLACED_ALONE.get(found[0], "")
    return f"{kind} {name}: write {instead}" if instead else ""


def has_replaced_word(source: str) -> bool:
    """Whether a name in a Python file may be wrong.  This takes a tenth of the time of parsing the file."""
    found = {word.lower() for word in set(_WORD.findall(source))}
    return not found.isdisjoint(REPLACED) or any(complaint(name, "class") for name in _PY_CLASS.findall(source))


def python_names(source: str) -> Iterator[tuple[str, str]]:
    """Yield kind and name of the classes, functions and constants of a module."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ClassDef():
                yield "class", node.name
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield "function", node.name
            case ast.Name(ctx=ast.Store()) if node.id.isupper():
                yield "constant", node.id


def javascript_names(source: str) -> Iterator[tuple[str, str]]:
    """Yield kind and name of the classes, functions and constants of a script."""
    for match in _JS_NAME.finditer(source):
        yield match[0].split()[0].replace("const", "constant"), match[1]


def sources() -> Iterator[Path]:
    """Yield our Python files and scripts."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            parts = path.relative_to(ROOT).parts
            if path.suffix in (".py", ".js") and not SKIPPED.intersection(parts) and not path.name.endswith(".min.js"):
                yield path


class NameTests(SynchronousTestCase):
    def test_no_name_is_a_replaced_word(self) -> None:
        wrong, count = [], 0
        for path in sources():
            source, names = path.read_text(), [("module", path.name.split(".")[0])]
            count += len(_PY_DEFINITION.findall(source))
            if path.suffix == ".js":
                names += javascript_names(source)
            elif has_replaced_word(source):
                names += python_names(source)
            wrong += [f"{path.relative_to(ROOT)}: {text}" for kind, name in names if (text := complaint(name, kind))]
        self.assertEqual(wrong, [])
        self.assertGreater(count, 5000)

    def test_replaced_words_are_found(self) -> None:
        python = (
            "PATIENCE: int = 5\n_PATIENCE, B = 1, 2\ndef is_told(): pass\nclass Half: pass\nasync def tells(): pass\n"
        )
        script = "const PATIENCE = 5;\nexport class Parts {}\nasync function toldAll() {}\nconst told = 1;\n"
        for line in python.splitlines():
            self.assertTrue(has_replaced_word(line), line)
        found = [name for kind, name in python_names(python) if complaint(name, kind)]
        self.assertEqual(sorted(found), ["Half", "PATIENCE", "_PATIENCE", "is_told", "tells"])
        found = [name for kind, name in javascript_names(script) if complaint(name, kind)]
        self.assertEqual(found, ["PATIENCE", "Parts", "toldAll"])

    def test_ordinary_uses_stay(self) -> None:
        for kind, name in (("class", "TimerWheel"), ("function", "pair"), ("function", "toldest")):
            self.assertEqual(complaint(name, kind), "")
