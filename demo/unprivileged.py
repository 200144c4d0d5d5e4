"""Run ``twistd`` as a user without privileges if root has started the demo.

That user cannot enter root's home, where the checkout, its virtual environment and its Python often are.  So the
package is copied into the demo's folder, and the rest is reached through open folders: a path below
``/proc/self/fd/N`` does not traverse the folders above it.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo.guardian import die_with_parent

_CHECKOUT = Path(__file__).resolve().parent.parent
_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; sys.exit(run())"
_LEFT_OUT = shutil.ignore_patterns("node_modules", "__pycache__", "dropin.cache")


def start_twistd(
    arguments: Sequence[str], *, uid: int, gid: int, folder: Path, **more: Any
) -> "subprocess.Popen[bytes]":
    """Start ``twistd`` as this user.

    :param folder: a folder of root that the user may traverse; the package is copied there.
    :param more: further arguments of Popen.
    """
    packages = folder / "packages"
    for name in ("novnc_twisted", "twisted"):
        shutil.copytree(_CHECKOUT / name, packages / name, ignore=_LEFT_OUT)
    for path in (packages, *packages.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    base = os.open(sys.base_prefix, os.O_PATH | os.O_DIRECTORY)
    site = os.open(sysconfig.get_path("purelib"), os.O_PATH | os.O_DIRECTORY)
    try:
        return subprocess.Popen(
            [f"/proc/self/fd/{base}/bin/python{sysconfig.get_python_version()}", "-c", _TWISTD, *arguments],
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "LC_ALL": "C.UTF-8",
                "HOME": str(folder),
                "PYTHONHOME": f"/proc/self/fd/{base}",
                "PYTHONPATH": f"{packages}:/proc/self/fd/{site}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "LD_LIBRARY_PATH": f"/proc/self/fd/{base}/lib",  # for libpython, if it is a separate file
            },
            pass_fds=(base, site),
            user=uid,
            group=gid,
            extra_groups=(),
            preexec_fn=die_with_parent,  # called after the change of the user, because this would undo the request
            **more,
        )
    finally:
        os.close(base)
        os.close(site)
