"""What ``make test-packages`` runs: build the Debian package and all images, then run the tests with trial.

The images need neither a registry nor a container runtime: the base image is made by debootstrap, and the steps and the
services run in a chroot (``BUILDAH_ISOLATION=chroot``), with an image store of their own.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".make" / "packages"
BIN = Path(sys.executable).parent


def environment() -> dict[str, str]:
    """The environment variables of buildah."""
    settings = FOLDER / "storage.conf"
    # With vfs, each layer would be a copy of the one below it.
    driver = os.environ.get("STORAGE_DRIVER", "overlay")
    places = f'runroot = "{FOLDER / "run"}"\ngraphroot = "{FOLDER / "layers"}"'
    settings.write_text(f'[storage]\ndriver = "{driver}"\n{places}\n')
    return os.environ | {"CONTAINERS_STORAGE_CONF": str(settings), "BUILDAH_ISOLATION": "chroot"}


def build_deb() -> Path:
    """Build the Debian package, and return its path."""
    folder = FOLDER / "deb"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([ROOT / "contrib" / "debian" / "build", BIN / "pip", folder], cwd=ROOT, check=True)
    (made,) = folder.glob("*.deb")
    return made


def build_images() -> None:
    certificates = os.environ.get("PIP_CERT")
    more = ["--ca", certificates] if certificates else []
    build = [ROOT / "contrib" / "container" / "build", "--debootstrap", *more]
    subprocess.run(build, cwd=ROOT, env=environment(), check=True)


def main() -> int:
    """Build and test; return the exit code of trial, or that of a build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ansible", default=".venv-ansible", help="the virtual environment with ansible-core")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        deb = build_deb()
        build_images()
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd[0]} ended with {error.returncode}")
        return 1
    more = {"TEST_DEB": str(deb), "TEST_ANSIBLE": str((ROOT / options.ansible).absolute())}
    command = [str(BIN / "trial"), "--temp-directory=_trial_temp_packages", "tests.packages"]
    return subprocess.run(command, cwd=ROOT, env=environment() | more, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
