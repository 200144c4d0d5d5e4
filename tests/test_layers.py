"""The floors of the house: imports only go down.  Read from the sources, so that no import hides in a function."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import TestCase

import novnc_twisted

PACKAGE = Path(novnc_twisted.__file__).parent
PLUGIN = PACKAGE.parent / "twisted" / "plugins" / "novnc_twisted_plugin.py"

LAYERS = {
    "_lazy": 0,
    "_version": 0,
    "errors": 1,
    "rfb": 1,
    "access": 1,
    "contract": 1,
    "events": 2,
    "tls": 2,
    "http": 2,
    "messaging": 2,
    "relay": 2,
    "consoleauth": 3,
    "compute": 3,
    "identity": 3,
    "session": 3,
    "frontend": 4,
    "novncproxy": 5,
    "xvpvncproxy": 5,
    "api": 5,
    "service": 6,
}

# Who else's modules a room may use; a name stands for all that is below it.
FLOOR_1 = {"cryptography", "defusedxml"}
FLOOR_2 = FLOOR_1 | {"twisted", "zope.interface", "OpenSSL", "service_identity"}
ALLOWED = {
    "_lazy": set(),
    "_version": set(),
    "errors": FLOOR_1,
    "rfb": FLOOR_1,
    "access": FLOOR_1,
    "contract": FLOOR_1,
    "events": set(),
    "tls": FLOOR_2,
    "http": FLOOR_2,
    "messaging": FLOOR_2,
    "relay": FLOOR_2,
    "consoleauth": FLOOR_2,
    "compute": FLOOR_2,
    "identity": FLOOR_2 | {"bcrypt"},
    "session": FLOOR_2,
    "frontend": FLOOR_2,
    "novncproxy": FLOOR_2 | {"autobahn", "txaio"},
    "xvpvncproxy": FLOOR_2,
    "api": FLOOR_2,
    "service": FLOOR_2 | {"oslo_config"},
}

# These few files may use more.
ALSO = {
    "messaging/redis/": {"txredisapi", "hiredis", "nacl"},
    "compute/libvirt_": {"libvirt"},
    "events/log": {"twisted"},
    "events/observers": {"twisted"},
    "events/refusal_log": {"twisted"},
}

# And these are nobody's below.
WEB = {"http"}
REACTOR = {"service"}
OPTIONS = {"service"}


class Import:
    """One import: where it stands, and the whole name that it asks for."""

    def __init__(self, path: Path, line: int, name: str) -> None:
        self.path = path
        self.where = f"{path.relative_to(PACKAGE.parent)}:{line}"
        self.name = name

    def of(self, name: str) -> bool:
        """Whether it asks for that module or something in it."""
        return self.name == name or self.name.startswith(name + ".")

    @property
    def top(self) -> str:
        """The first part of its name."""
        return self.name.partition(".")[0]


def imports_of(path: Path) -> Iterator[Import]:
    """Every import of a file: at its top, in functions, for type checkers."""
    package = list(path.relative_to(PACKAGE.parent).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(path, node.lineno, f"{base}.{alias.name}")


def sources() -> list[Path]:
    """Our modules."""
    return sorted(path for path in PACKAGE.rglob("*.py") if "web" not in path.relative_to(PACKAGE).parts[:1])


def room_of(path: Path) -> str:
    """The room where a file lives; the package's own ``__init__`` is on the ground."""
    first = path.relative_to(PACKAGE).parts[0]
    return "_version" if first == "__init__.py" else first.removesuffix(".py")


ALL = [(room_of(path), one) for path in sources() for one in imports_of(path)]
OURS = [(room, one) for room, one in ALL if one.top == "novnc_twisted"]
OTHERS = [(room, one) for room, one in ALL if one.top not in sys.stdlib_module_names | {"novnc_twisted"}]


class LayerTests(TestCase):
    """What design.md says about who may import whom."""

    def test_every_room_has_a_floor(self) -> None:
        """A new room is put on a floor here, or the others would not hold for it."""
        self.assertEqual({room_of(path) for path in sources()} - set(LAYERS), set())

    def test_imports_go_down(self) -> None:
        """Down, or within the package; ``errors``, ``events`` and ``tls`` serve their own layer, too."""
        wrong = []
        for room, one in OURS:
            parts = one.name.split(".")
            target = parts[1] if len(parts) > 1 and parts[1] in LAYERS else "_version"
            fine = (
                target == room
                or LAYERS[target] < LAYERS[room]
                or (target in ("errors", "events", "tls") and LAYERS[room] == LAYERS[target])
            )
            if not fine:
                wrong.append(f"{one.where} {room} imports {one.name}")
        self.assertEqual(wrong, [])

    def test_other_peoples_modules(self) -> None:
        """Each room uses what its floor has, and no more."""
        wrong = []
        for room, one in OTHERS:
            allowed = set(ALLOWED[room])
            place = str(one.path.relative_to(PACKAGE))
            for start, more in ALSO.items():
                if place.startswith(start):
                    allowed |= more
            if not any(one.of(name) for name in allowed):
                wrong.append(f"{one.where} imports {one.name}")
        self.assertEqual(wrong, [])

    def test_only_http_uses_twisted_web(self) -> None:
        """twisted.web is used by the HTTP server alone."""
        self.assertEqual([one.where for room, one in OTHERS if one.of("twisted.web") and room not in WEB], [])

    def test_the_reactor_is_passed_down(self) -> None:
        """The global reactor is met in ``service`` alone; below, it is an argument."""
        wrong = [one.where for room, one in OTHERS if one.of("twisted.internet.reactor") and room not in REACTOR]
        self.assertEqual(wrong, [])

    def test_options_are_read_in_service(self) -> None:
        """Command lines too; below, there are plain arguments."""
        wrong = [
            one.where
            for room, one in ALL
            if (one.of("twisted.python.usage") or one.of("argparse") or one.of("configparser")) and room not in OPTIONS
        ]
        self.assertEqual(wrong, [])

    def test_no_testing_in_the_product(self) -> None:
        """What is installed does not lean on what is not."""
        self.assertEqual(
            [one.where for _room, one in ALL if one.top in {"tests", "demo"} or one.of("twisted.trial")], []
        )

    def test_the_plugin_is_strings(self) -> None:
        """The plugin is imported by every twistd on the machine: ServiceMakers of strings, nothing of ours."""
        tree = ast.parse(PLUGIN.read_text())
        imported = [one.name for one in imports_of(PLUGIN)]
        self.assertEqual(imported, ["twisted.application.service.ServiceMaker"])
        makers = [node.value for node in tree.body if isinstance(node, ast.Assign)]
        self.assertEqual(len(makers), 6)
        for maker in makers:
            assert isinstance(maker, ast.Call)
            self.assertEqual(maker.keywords, [])
            for argument in maker.args:
                assert isinstance(argument, ast.Constant)
                self.assertIsInstance(argument.value, str)


# Imports one name after another, and tells which of them first brought which of the suspects.
_IMPORTER = """
import importlib, json, sys
names, found = json.load(sys.stdin), {}
for name in names:
    before = set(sys.modules)
    importlib.import_module(name)
    found[name] = sorted(set(sys.modules) - before)
json.dump(found, sys.stdout)
"""


def brought_by(names: list[str]) -> dict[str, list[str]]:
    """For each name, imported in turn in a fresh Python: the modules that it brought."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTER],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=PACKAGE.parent,
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    result: dict[str, list[str]] = json.loads(done.stdout)
    return result


def module_name(path: Path) -> str:
    """``novnc_twisted.rfb.handshake`` for its file."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


class LightnessTests(TestCase):
    """Importing us costs nothing and decides nothing."""

    def test_packages_bring_nothing(self) -> None:
        """A room's package brings the standard library and our own modules, no more."""
        packages = [module_name(path) for path in sources() if path.name == "__init__.py"]
        packages = [name for name in packages if name.count(".") < 2]
        ours = sys.stdlib_module_names | {"novnc_twisted"}
        heavy = {
            name: [one for one in brought if one.partition(".")[0] not in ours]
            for name, brought in brought_by(packages).items()
        }
        self.assertEqual({name: brought for name, brought in heavy.items() if brought}, {})

    def test_modules_install_no_reactor(self) -> None:
        """Nor does any module; but those that speak Redis, for txredisapi does."""
        modules = [module_name(path) for path in sources() if "messaging/redis/" not in str(path)]
        guilty = [name for name, brought in brought_by(modules).items() if "twisted.internet.reactor" in brought]
        self.assertEqual(guilty, [])

    def test_names_handed_on_exist(self) -> None:
        """What a package says that it has, it has."""
        packages = [module_name(path) for path in sources() if path.name == "__init__.py"]
        for name in packages:
            package = __import__(name, fromlist=["*"])
            for attribute in dir(package):
                getattr(package, attribute)
