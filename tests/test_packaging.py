"""The package, built from a copy of the checkout, installed, and used from another folder."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import TestCase

from novnc_twisted import __version__

ROOT = Path(__file__).resolve().parent.parent
WEB = Path("novnc_twisted") / "web"
COMMANDS = {"novncproxy", "xvpvncproxy", "consoleauth", "consolecompute", "consoleapi", "console"}
SITE_PACKAGES = sysconfig.get_path("purelib")


def run(*command: str | Path, folder: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command without this checkout in its environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        env=environment | ({} if path is None else {"PATH": path}),
    )


def copy_checkout(target: Path, *, page: bool) -> None:
    """Copy the files that git tracks or does not ignore, and optionally the built page."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder=ROOT)
    if listed.returncode:
        raise AssertionError(f"git ls-files: {listed.stdout}")
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    if page:
        if not (ROOT / WEB / "dist" / "vnc_auto.html").exists():
            raise AssertionError("the console page is not built: make page")
        shutil.copytree(ROOT / WEB / "dist", target / WEB / "dist")
        os.utime(target / WEB / "dist" / "vnc_auto.html")  # newer than its sources, so that it is not built again


class Place:
    """A folder for a copy of the checkout, and for a new venv with our dependencies, but without our package."""

    def __init__(self, test: TestCase) -> None:
        folder = tempfile.TemporaryDirectory(prefix="packaging")
        test.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.checkout = self.folder / "checkout"
        self.checkout.mkdir()
        self.elsewhere = self.folder / "elsewhere"
        self.elsewhere.mkdir()
        self.python = self.folder / "venv" / "bin" / "python"

    def make_venv(self) -> None:
        """Make a venv without pip; the checkout's pip installs into it."""
        made = run(sys.executable, "-m", "venv", "--without-pip", self.folder / "venv", folder=self.folder)
        if made.returncode:
            raise AssertionError(made.stdout)
        (site_packages,) = (self.folder / "venv" / "lib").glob("python*/site-packages")
        # Modules in that folder are found; its .pth files, including that of our editable install, are not read.
        (site_packages / "dependencies.pth").write_text(f"{SITE_PACKAGES}\n")

    def pip(self, *arguments: str | Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the checkout's pip for the venv."""
        return run(sys.executable, "-m", "pip", "--python", self.python, *arguments, folder=self.checkout, path=path)

    def python_run(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run a line of Python in the venv, in another folder."""
        return run(self.python, "-c", code, folder=self.elsewhere)

    def twistd_help(self) -> str:
        """The output of ``twistd --help`` in another folder."""
        done = self.python_run("import sys; sys.argv[1:] = ['--help']; from twisted.scripts.twistd import run; run()")
        if done.returncode:
            raise AssertionError(done.stdout)
        return done.stdout


INSTALL = ("install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", "--no-build-isolation")


def commands_in(help_text: str) -> set[str]:
    """Our commands that twistd lists."""
    return COMMANDS & set(re.findall(r"^ {4}(\w+) ", help_text, re.M))


class WheelTests(TestCase):
    """The wheel, built without npm."""

    built: ClassVar[bytes | None] = None

    def wheel(self, place: Place) -> Path:
        """The wheel, built once for all tests here."""
        name = f"novnc_twisted-{__version__}-py3-none-any.whl"
        if WheelTests.built is None:
            copy_checkout(place.checkout, page=True)
            done = run(
                *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation"),
                *("--wheel-dir", place.folder, place.checkout),
                folder=place.elsewhere,
                path="/nowhere",
            )
            self.assertEqual(done.returncode, 0, done.stdout)
            WheelTests.built = (place.folder / name).read_bytes()
        (place.folder / name).write_bytes(WheelTests.built)
        return place.folder / name

    def test_contents(self) -> None:
        """The package, its page, the licences and the plugin, but no files of Twisted, and no tests."""
        with zipfile.ZipFile(self.wheel(Place(self))) as wheel:
            names = wheel.namelist()
            metadata = wheel.read(f"novnc_twisted-{__version__}.dist-info/METADATA").decode()
            notice = wheel.read(f"{WEB}/dist/LICENSE.noVNC.txt").decode()
        self.assertEqual(
            [name for name in names if name.startswith("twisted/")], ["twisted/plugins/novnc_twisted_plugin.py"]
        )
        tops = {name.partition("/")[0] for name in names}
        self.assertEqual(tops, {"twisted", "novnc_twisted", f"novnc_twisted-{__version__}.dist-info"})
        for wanted in ("py.typed", "web/dist/vnc_auto.html", "web/dist/vnc_lite.html", "web/dist/vnc.html"):
            self.assertIn(f"novnc_twisted/{wanted}", names)
        self.assertTrue(any(re.fullmatch(f"{WEB}/dist/assets/[^/]+\\.js", name) for name in names))
        self.assertEqual([name for name in names if "node_modules" in name or name.startswith(f"{WEB}/src")], [])
        extras = re.findall(r"^Provides-Extra: (.*)$", metadata, re.M)
        self.assertEqual(
            extras,
            ["redis", "libvirt", "openstack", "jwt", "tracing", "clients"],
            "tests and documents have dependency groups",
        )
        self.assertIn("MPL", notice)
        self.assertIn("\nLicense-Expression: Apache-2.0 AND MPL-2.0\n", metadata)
        self.assertIn(f"\nVersion: {__version__}\n", metadata)
        licences = [name for name in names if f"{__version__}.dist-info/licenses/" in name]
        self.assertTrue(any(name.endswith("/LICENSE") for name in licences), licences)
        self.assertTrue(any(name.endswith("/LICENSE.MPL-2.0.txt") for name in licences), licences)

    def test_every_module_is_inside(self) -> None:
        """The wheel has every module; a missing one would be noticed only after an installation."""
        with zipfile.ZipFile(self.wheel(Place(self))) as wheel:
            inside = {name for name in wheel.namelist() if name.endswith(".py")}
        listed = run("git", "ls-files", "novnc_twisted/*.py", "novnc_twisted/**/*.py", folder=ROOT).stdout.split()
        self.assertEqual({name for name in listed if (ROOT / name).exists()} - inside, set())

    def test_installed(self) -> None:
        """In another folder, twistd has six commands; after uninstalling, twistd still works, without them."""
        place = Place(self)
        wheel = self.wheel(place)
        place.make_venv()
        done = place.pip(*INSTALL, wheel)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(commands_in(place.twistd_help()), COMMANDS)
        printed = place.python_run("import novnc_twisted as n; print(n.__version__, n.__file__)").stdout
        self.assertEqual(printed.split()[0], __version__)
        self.assertIn(str(place.folder), printed.split()[1])
        done = place.pip("uninstall", "--yes", "--quiet", "novnc-twisted")
        self.assertEqual(done.returncode, 0, done.stdout)
        text = place.twistd_help()
        self.assertEqual(commands_in(text), set())
        self.assertIn(" web ", text)


class PyPITests(TestCase):
    """PyPI accepts the distributions, and the links in its description work."""

    def description(self, repository: str) -> str:
        """The description that setup.py makes of the README."""
        spec = importlib.util.spec_from_file_location("setup_of_the_checkout", ROOT / "setup.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        text: str = module.long_description(repository)
        return text

    def targets(self, text: str) -> list[str]:
        """The targets of links and images that do not begin with a scheme."""
        return [target for target in re.findall(r"\]\(([^)]*)\)", text) if not target.startswith("https://")]

    def test_links_without_a_repository(self) -> None:
        """No link leads to a file that PyPI does not have; the texts of the links remain."""
        text = self.description("")
        self.assertTrue(all(target.startswith("#") for target in self.targets(text)), self.targets(text))
        self.assertNotIn("![", text)
        self.assertNotIn("<!--", text)
        self.assertIn("\n* For operators: quickstart, deployment, packages,", text)

    def test_links_with_a_repository(self) -> None:
        """Links and images are absolute."""
        text = self.description("https://git.example.org/it")
        self.assertTrue(all(target.startswith("#") for target in self.targets(text)), self.targets(text))
        self.assertIn("](https://git.example.org/it/raw/HEAD/docs/images/page.png)", text)
        self.assertIn("[deployment](https://git.example.org/it/blob/HEAD/docs/deployment.rst)", text)
        self.assertIn("](https://novnc.com)", text)

    def test_upload(self) -> None:
        """Twine accepts the sdist and the wheel; the sdist has git's files, except hidden ones, and the page."""
        place = Place(self)
        copy_checkout(place.checkout, page=True)
        done = run(
            *(sys.executable, "-m", "build", "--no-isolation", "--outdir", place.folder / "dist", place.checkout),
            folder=place.elsewhere,
            path="/nowhere",
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        built = sorted((place.folder / "dist").iterdir())
        self.assertEqual(len(built), 2)
        done = run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *built, folder=place.elsewhere)
        self.assertEqual((done.returncode, done.stdout.count(": PASSED")), (0, 2), done.stdout)
        with tarfile.open(place.folder / "dist" / f"novnc_twisted-{__version__}.tar.gz") as sdist:
            names = {name.partition("/")[2] for name in sdist.getnames()}
        listed = run("git", "ls-files", folder=ROOT).stdout.split()
        hidden = {name for name in listed if name.startswith(".") or not (ROOT / name).exists()}
        self.assertEqual(set(listed) - hidden - names, set())
        self.assertIn(f"{WEB}/dist/vnc_auto.html", names)


class EditableTests(TestCase):
    """``pip install -e``, for contributors."""

    def test_installed(self) -> None:
        """In another folder, twistd has six commands."""
        place = Place(self)
        copy_checkout(place.checkout, page=True)
        place.make_venv()
        done = place.pip(*INSTALL, "--editable", place.checkout)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(commands_in(place.twistd_help()), COMMANDS)
        printed = place.python_run("import novnc_twisted as n; print(n.__file__)").stdout
        self.assertIn(str(place.checkout), printed)


class PageTests(TestCase):
    """A clone without the built page."""

    def clone(self) -> Place:
        place = Place(self)
        copy_checkout(place.checkout, page=False)
        place.make_venv()
        return place

    def test_without_npm(self) -> None:
        """Without npm the build fails with one sentence that names what is missing."""
        place = self.clone()
        done = place.pip(*INSTALL, place.checkout, path="/nowhere")
        self.assertNotEqual(done.returncode, 0)
        (sentence,) = [line for line in done.stdout.splitlines() if "npm" in line]
        self.assertIn("the console page is built with npm, which is not installed; install npm", sentence)
        self.assertNotIn("Traceback", done.stdout)

    def test_builds_the_page(self) -> None:
        """With npm, the page is built, with the versions of its lock file."""
        place = self.clone()
        tools = place.folder / "tools"
        tools.mkdir()
        npm = tools / "npm"
        npm.write_text(
            f'#!/bin/sh\necho "$PWD $*" >>{place.folder}/calls\n'
            '[ "$1" != run ] || { mkdir -p dist && echo page >dist/vnc_auto.html; }\n'
        )
        npm.chmod(0o755)
        done = place.pip(*INSTALL, place.checkout, path=f"{tools}:/usr/bin:/bin")
        self.assertEqual(done.returncode, 0, done.stdout)
        calls = (place.folder / "calls").read_text().splitlines()
        web = place.checkout / WEB
        self.assertEqual(calls, [f"{web} ci --no-audit --no-fund", f"{web} run build"])
        done = place.python_run(
            "import novnc_twisted, pathlib; "
            "print((pathlib.Path(novnc_twisted.__file__).parent / 'web/dist/vnc_auto.html').read_text())"
        )
        self.assertEqual(done.stdout.strip(), "page", done.stdout)

    def test_npm_fails(self) -> None:
        """A failed build names the command, without a traceback."""
        place = self.clone()
        tools = place.folder / "tools"
        tools.mkdir()
        (tools / "npm").symlink_to("/bin/false")
        done = place.pip(*INSTALL, place.checkout, path=f"{tools}:/usr/bin:/bin")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("npm ci --no-audit --no-fund failed", done.stdout)
        self.assertNotIn("Traceback", done.stdout)
