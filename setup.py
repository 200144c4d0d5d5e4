"""Build the package with its twistd plugin and its console page.  All static metadata is in pyproject.toml."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.egg_info import egg_info

ROOT = Path(__file__).parent
WEB = ROOT / "novnc_twisted" / "web"
PAGE = WEB / "dist" / "vnc_auto.html"


def build_page() -> None:
    """Build the console page with npm, unless it exists (as in an sdist) and is not older than its sources."""
    sources = [path for path in [*WEB.glob("*.*"), *WEB.glob("src/**/*")] if path.is_file()]
    npm = shutil.which("npm")
    changed = max((path.stat().st_mtime for path in sources), default=0.0)
    if PAGE.exists() and (npm is None or PAGE.stat().st_mtime >= changed):
        return
    if npm is None:
        raise SystemExit(
            "novnc_twisted: the console page is built with npm, which is not installed; "
            "install npm (apt-get install npm), or use the wheel, which has the page in it."
        )
    for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        if subprocess.run([npm, *arguments], cwd=WEB).returncode:
            raise SystemExit(f"novnc_twisted: npm {' '.join(arguments)} failed in {WEB}; what it said stands above.")
    if not PAGE.exists():
        raise SystemExit(f"novnc_twisted: npm run build did not make {PAGE}.")


class PageFirst(egg_info):
    """Build the page before the metadata, which names the page's licence files."""

    def run(self) -> None:
        build_page()
        super().run()


def repository() -> str:
    """The public address of the repository; empty if there is no such address yet."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    return str(tools["novnc_twisted"]["repository"]).rstrip("/")


def long_description(base: str) -> str:
    """The README for PyPI, whose pages have none of our files: with absolute links, or with the texts of the links.

    :param base: the address of the repository; empty: links and images of our files are left out.
    """
    text = re.sub(r"<!--.*?-->\n*", "", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    if base:
        text = re.sub(r"(!\[[^]]*\]\()(?!https?:)", rf"\g<1>{base}/raw/HEAD/", text)
        return re.sub(r"((?<!!)\[[^]]*\]\()(?!https?:|#)", rf"\g<1>{base}/blob/HEAD/", text)
    text = re.sub(r"!\[[^]]*\]\((?!https?:)[^)]*\)\n*", "", text)
    text = re.sub(r"\s\(\[how\]\((?!https?:)[^)]*\)\)", "", text)
    return re.sub(r"\[([^]]*)\]\((?!https?:|#)[^)]*\)", r"\1", text)


def project_urls(base: str) -> dict[str, str]:
    """The links beside the description on PyPI."""
    if not base:
        return {}
    return {
        "Source": base,
        "Documentation": f"{base}/blob/HEAD/docs/index.rst",
        "Changelog": f"{base}/blob/HEAD/CHANGES.md",
    }


# package_dir makes an editable install a plain .pth line: twisted.plugins joins "twisted/plugins" to each
# entry of sys.path, and the import hook of a modern editable install is not one.
if __name__ == "__main__":
    setup(
        package_dir={"": "."},
        packages=find_namespace_packages(
            include=["novnc_twisted", "novnc_twisted.*", "twisted.plugins"],
            exclude=["novnc_twisted.web", "novnc_twisted.web.*"],
        ),
        long_description=long_description(repository()),
        long_description_content_type="text/markdown",
        project_urls=project_urls(repository()),
        cmdclass={"egg_info": PageFirst},
    )
