"""What ``make test-nova`` runs: start the services, run the tests with trial, and end the services.

``--keep`` leaves the services running until Ctrl-C, for tests by hand.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.nova import seed
from tests.nova.cloud import Cloud
from tests.nova.configuration import PASSWORD

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Run everything; return the exit code of trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", default=".venv-nova", help="the virtual environment with OpenStack")
    parser.add_argument("--folder", default=".make/nova", help="an empty or new folder for the files of the services")
    parser.add_argument("--keep", action="store_true", help="run no tests; leave the services running until Ctrl-C")
    parser.add_argument("tests", nargs="*", default=["tests.nova"], help="the tests that trial runs")
    options = parser.parse_args()
    folder = (ROOT / options.folder).resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    cloud = _started(folder, (ROOT / options.venv).absolute())
    try:
        print(f"Keystone, Placement and nova run after {time.monotonic() - began:.0f} s; {folder}", flush=True)
        if options.keep:
            return _keep(cloud)
        command = [str(Path(sys.executable).with_name("trial")), "--temp-directory=_trial_temp_nova", *options.tests]
        return subprocess.run(command, cwd=ROOT, env=os.environ | {"TEST_NOVA": str(folder)}, check=False).returncode
    finally:
        cloud.stop()


def _started(folder: Path, venv: Path) -> Cloud:
    """Start a cloud.  If that fails, try once more from the beginning, because OpenStack has races."""
    for attempt in (1, 2):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        cloud = Cloud(folder, venv)
        try:
            cloud.start()
        except BaseException as error:
            cloud.stop()
            if attempt == 2 or not isinstance(error, Exception):
                raise
            print(f"OpenStack did not start; trying once more: {error}", flush=True)
        else:
            return cloud
    raise AssertionError("unreachable")


def _keep(cloud: Cloud) -> int:
    print(f"nova.conf: {cloud.conf}; passwords: {PASSWORD.format(name='USER')}; users: admin, {', '.join(seed.USERS)}")
    for name, value in cloud.environment("alice", "red").items():
        print(f"export {name}={value}", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
