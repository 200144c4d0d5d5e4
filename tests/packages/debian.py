"""The Debian package that ``python -m tests.packages`` has built, and machines on which it is installed."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

from tests.support.machine import Machine, MachineFailed, missing

ROOT = Path(__file__).parents[2]


def package() -> Path:
    """The package.

    :raises AssertionError: it was not built.
    """
    found = os.environ.get("TEST_DEB")
    assert found, "TEST_DEB is not set; run make test-packages"
    return Path(found)


@functools.cache
def newer() -> Path:
    """The same package with a higher version, for an upgrade."""
    folder = package().parent / "newer"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    subprocess.run(["dpkg-deb", "-R", package(), folder / "root"], check=True)
    control = folder / "root" / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 1000."))
    made = folder / "newer.deb"
    # Fast, not small.
    pack = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", folder / "root", made]
    subprocess.run(pack, check=True, capture_output=True)
    return made


def fresh_machine() -> Machine:
    """A machine without our program.

    :raises AssertionError: it cannot be made here.
    """
    reason = missing()
    assert reason is None, reason
    try:
        host = Machine()
    except MachineFailed as error:
        raise AssertionError(str(error)) from None
    host.run("umount /opt/novnc_twisted/lib", "rm -r /opt/novnc_twisted", "rm -rf /etc/nova /etc/default/novnc_twisted")
    host.run("rm -f /usr/sbin/policy-rc.d")  # in container images, it forbids restarts of services
    return host
