"""The layers of the packages: imports only go down, including those in functions."""

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
    "read_only": 0,
    "errors": 1,
    "rfb": 1,
    "access": 1,
    "contract": 1,
    "keyboard": 1,
    "events": 2,
    "tls": 2,
    "http": 2,
    "keystone": 2,
    "messaging": 2,
    "relay": 2,
    "audit": 3,
    "consoleauth": 3,
    "compute": 3,
    "identity": 3,
    "monitoring": 3,
    "token_plugins": 3,
    "session": 3,
    "frontend": 4,
    "novncproxy": 5,
    "xvpvncproxy": 5,
    "api": 5,
    "osc": 5,
    "service": 6,
}

# The third-party modules that a package may use; a name includes everything below it.
LAYER_1 = {"cryptography", "defusedxml", "orjson"}
LAYER_2 = LAYER_1 | {"twisted", "zope.interface", "OpenSSL", "service_identity"}
ALLOWED = {
    "_lazy": set(),
    "_version": set(),
    "read_only": set(),
    "errors": LAYER_1,
    "rfb": LAYER_1,
    "access": LAYER_1,
    "contract": LAYER_1,
    "keyboard": set(),
    "events": set(),
    "tls": LAYER_2,
    "http": LAYER_2,
    "keystone": LAYER_2 | {"keystoneauth1"},
    "messaging": LAYER_2,
    "relay": LAYER_2,
    "audit": LAYER_2,
    "consoleauth": LAYER_2,
    "compute": LAYER_2,
    "identity": LAYER_2 | {"bcrypt"},
    "monitoring": LAYER_2 | {"prometheus_client", "opentelemetry"},
    "token_plugins": LAYER_2,
    "session": LAYER_2,
    "frontend": LAYER_2,
    "novncproxy": LAYER_2 | {"autobahn", "txaio"},
    "xvpvncproxy": LAYER_2,
    "api": LAYER_2,
    "osc": {"keystoneauth1", "osc_lib"},
    "service": LAYER_2 | {"keystoneauth1", "oslo_config"},
}

# Files that may use further third-party modules.
ALSO = {
    "messaging/redis/": {"txredisapi", "hiredis", "nacl"},
    "keystone/bounded.py": {"requests", "urllib3"},  # keystoneauth1 is built on them
    "compute/libvirt/": {"libvirt"},
    "compute/pictures": {"PIL"},
    "token_plugins/jwt": {"joserfc"},
    "events/log": {"twisted"},
    "events/observers": {"twisted"},
    "events/refusal_log": {"twisted"},
}

# The only packages that may use twisted.web, the global reactor, and command lines.
WEB = {"http"}
REACTOR = {"service"}
OPTIONS = {"osc", "service"}


class Import:
    """One import: its place, and the full name of what it imports."""

    def __init__(self, path: Path, line: int, name: str) -> None:
        self.path = path
        self.where = f"{path.relative_to(PACKAGE.parent)}:{line}"
        self.name = name

    def of(self, name: str) -> bool:
        """Whether it imports this module or something in it."""
        return self.name == name or self.name.startswith(name + ".")

    @property
    def top(self) -> str:
        """The first part of its name."""
        return self.name.partition(".")[0]


def imports_of(path: Path) -> Iterator[Import]:
    """All imports of a file: at its top, in functions, for type checkers."""
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


def package_of(path: Path) -> str:
    """The package of a file; for the top-level ``__init__`` that is ``_version``, the lowest one."""
    first = path.relative_to(PACKAGE).parts[0]
    return "_version" if first == "__init__.py" else first.removesuffix(".py")


ALL = [(package_of(path), one) for path in sources() for one in imports_of(path)]
OURS = [(package, one) for package, one in ALL if one.top == "novnc_twisted"]
OTHERS = [(package, one) for package, one in ALL if one.top not in sys.stdlib_module_names | {"novnc_twisted"}]


class LayerTests(TestCase):
    """Which package may import which."""

    def test_every_package_has_a_layer(self) -> None:
        """A new package needs a layer here, since the other tests do not apply to it otherwise."""
        self.assertEqual({package_of(path) for path in sources()} - set(LAYERS), set())

    def test_imports_go_down(self) -> None:
        """Packages import lower layers and themselves, and ``errors``, ``events`` and ``tls`` of their own layer."""
        wrong = []
        for package, one in OURS:
            parts = one.name.split(".")
            target = parts[1] if len(parts) > 1 and parts[1] in LAYERS else "_version"
            fine = (
                target == package
                or LAYERS[target] < LAYERS[package]
                or (target in ("errors", "events", "tls") and LAYERS[package] == LAYERS[target])
            )
            if not fine:
                wrong.append(f"{one.where} {package} imports {one.name}")
        self.assertEqual(wrong, [])

    def test_other_peoples_modules(self) -> None:
        """Each package uses only the third-party modules of its layer."""
        wrong = []
        for package, one in OTHERS:
            allowed = set(ALLOWED[package])
            place = str(one.path.relative_to(PACKAGE))
            for start, more in ALSO.items():
                if place.startswith(start):
                    allowed |= more
            if not any(one.of(name) for name in allowed):
                wrong.append(f"{one.where} imports {one.name}")
        self.assertEqual(wrong, [])

    def test_only_http_uses_twisted_web(self) -> None:
        self.assertEqual([one.where for package, one in OTHERS if one.of("twisted.web") and package not in WEB], [])

    def test_the_reactor_is_passed_down(self) -> None:
        """Only ``service`` uses the global reactor; below, it is an argument."""
        wrong = [one.where for package, one in OTHERS if one.of("twisted.internet.reactor") and package not in REACTOR]
        self.assertEqual(wrong, [])

    def test_options_are_read_in_service(self) -> None:
        """Only ``service`` reads options; below, they are plain arguments.  ``osc`` has its own command lines."""
        wrong = [
            one.where
            for package, one in ALL
            if (one.of("twisted.python.usage") or one.of("argparse") or one.of("configparser"))
            and package not in OPTIONS
        ]
        self.assertEqual(wrong, [])

    def test_no_testing_in_the_product(self) -> None:
        """Installed modules do not import tests, the demo or trial."""
        self.assertEqual(
            [one.where for _package, one in ALL if one.top in {"tests", "demo"} or one.of("twisted.trial")], []
        )

    def test_the_plugin_is_strings(self) -> None:
        """Every twistd on the machine imports the plugin, so it has only strings and does not import our package."""
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


# Imports names one after another, and prints the modules that each of them loaded.
_IMPORTER = """
import importlib, json, sys
names, found = json.load(sys.stdin), {}
for name in names:
    before = set(sys.modules)
    importlib.import_module(name)
    found[name] = sorted(set(sys.modules) - before)
json.dump(found, sys.stdout)
"""


def loaded_by(names: list[str]) -> dict[str, list[str]]:
    """Import the names in turn in a new Python process; return the modules that each of them loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTER],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        timeout=240,
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
    """Importing a package is cheap and has no side effects."""

    def test_packages_bring_nothing(self) -> None:
        """Importing a package's ``__init__`` loads only the standard library and our own modules."""
        packages = [module_name(path) for path in sources() if path.name == "__init__.py"]
        packages = [name for name in packages if name.count(".") < 2]
        ours = sys.stdlib_module_names | {"novnc_twisted"}
        heavy = {
            name: [one for one in loaded if one.partition(".")[0] not in ours]
            for name, loaded in loaded_by(packages).items()
        }
        self.assertEqual({name: loaded for name, loaded in heavy.items() if loaded}, {})

    def test_modules_install_no_reactor(self) -> None:
        """No module installs a reactor, except those for Redis, because txredisapi does."""
        modules = [module_name(path) for path in sources() if "messaging/redis/" not in str(path)]
        guilty = [name for name, loaded in loaded_by(modules).items() if "twisted.internet.reactor" in loaded]
        self.assertEqual(guilty, [])

    def test_names_handed_on_exist(self) -> None:
        """A package has all names that its ``__init__`` lists."""
        packages = [module_name(path) for path in sources() if path.name == "__init__.py"]
        for name in packages:
            package = __import__(name, fromlist=["*"])
            for attribute in dir(package):
                getattr(package, attribute)
