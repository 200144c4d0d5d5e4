"""The package, its twistd plugin and its console page.  Everything static stands in pyproject.toml."""

import json
import shutil
import subprocess
from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
WEB = HERE / "novnc_twisted" / "web"


class BuildPage(build_py):
    """Build the console page with npm, unless it is there already (as it is in an sdist)."""

    def run(self) -> None:
        if not (WEB / "dist" / "vnc_auto.html").exists():
            npm = shutil.which("npm")
            if npm is None:
                raise SystemExit(
                    "novnc_twisted: the console page is built with npm, which is not installed; "
                    "install npm (apt-get install npm) or use the wheel, which has the page in it."
                )
            for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
                subprocess.run([npm, *arguments], cwd=WEB, check=True)
            json.loads((WEB / "package.json").read_text())  # a half-written checkout fails here, by name
        super().run()


# package_dir makes an editable install a plain .pth line: twisted.plugins joins "twisted/plugins" to each
# entry of sys.path, and the import hook of a modern editable install is not one.
setup(
    package_dir={"": "."},
    packages=find_namespace_packages(
        include=["novnc_twisted", "novnc_twisted.*", "twisted.plugins"], exclude=["novnc_twisted.web.*"]
    ),
    cmdclass={"build_py": BuildPage},
)
