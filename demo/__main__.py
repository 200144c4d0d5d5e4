"""``python -m demo``: real VMs, and the services that show their screens.

The demo runs until Ctrl-C or SIGTERM.  However it ends, the VMs, their libvirtd, the services and their folder are
removed.  Only a cache of QEMU's capabilities is left.
"""

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from demo.domains import small_domain
from demo.guardian import STOP_SIGNALS, die_with_parent, run_guarded
from demo.guest import boot_sector
from demo.libvirtd import LibvirtdFailed, PrivateLibvirtd
from demo.services import Console, DemoFailed, Ports, client_settings, get_vnc_console

SERVER = "myserver20"
OTHERS = ("myserver21", "myserver22")
"""Further VMs, so that the list shows several servers."""


class Stopped(BaseException):
    """The demo was requested to end."""


def main() -> int:
    """Run the demo, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--with-parent", action="store_true", help="also end when the process that started it ends")
    options = parser.parse_args()
    if options.with_parent:
        die_with_parent(signal.SIGTERM)
    try:
        ports = Ports.parse(os.environ.get("DEMO_PORTS", ""))
        ports.check_free()
    except DemoFailed as error:
        return _failed(error)

    def prepare() -> tuple[Callable[[], int], Callable[[], object]]:
        for number in STOP_SIGNALS:
            signal.signal(number, _stop)
        libvirtd = PrivateLibvirtd(cache=cache_folder(), progress=say)
        return lambda: run(libvirtd, ports), libvirtd.close

    return run_guarded(prepare)


def run(libvirtd: PrivateLibvirtd, ports: Ports) -> int:
    """Run everything until the demo is requested to end, and return the exit code."""
    began = time.monotonic()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        with libvirtd, _console(libvirtd, ports) as console:
            _start_servers(libvirtd)
            say("waiting for the services")
            console.wait_for(SERVER)
            say(f"asking OpenStack's client (all is up after {time.monotonic() - began:.1f} s)")
            table = get_vnc_console(ports, SERVER, "novnc")
            tell(f"\n$ nova get-vnc-console {SERVER} novnc\n{table}")
            tell(_what_next(ports, console))
            console.wait()
    except Stopped:
        return 0
    except (DemoFailed, LibvirtdFailed) as error:
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    print(f"demo: {error}", file=sys.stderr)
    return 1


def tell(text: str) -> None:
    """Print a text.  If the reader of the output is gone, end the demo as at SIGTERM."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        os.kill(os.getpid(), signal.SIGTERM)


def say(text: str) -> None:
    """Print a line of progress."""
    tell(f"demo: {text}")


def cache_folder() -> Path:
    """The folder that keeps QEMU's capabilities for the next demo.  libvirt needs several seconds to detect them."""
    if os.geteuid() == 0:
        return Path("/var/cache/novnc_twisted-demo")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "novnc_twisted-demo"


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Handle the first signal only, so that a second one does not interrupt the clean-up."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise Stopped


@contextlib.contextmanager
def _console(libvirtd: PrivateLibvirtd, ports: Ports) -> Iterator[Console]:
    console = Console(libvirtd.root, ports, libvirtd.uri, libvirtd.user)
    try:
        console.start()  # they start while the VMs start
        yield console
    finally:
        console.stop()


def _start_servers(libvirtd: PrivateLibvirtd) -> None:
    for name in (SERVER, *OTHERS):
        image = libvirtd.put(f"{name}.img", boot_sector(name))
        libvirtd.define(small_domain(name, boot_image=image))
        libvirtd.start_vm(name)


def _what_next(ports: Ports, console: Console) -> str:
    settings = " ".join(f"{name}={value}" for name, value in client_settings(ports).items())
    nova = os.path.relpath(Path(sys.executable).parent / "nova")
    return f"""Open the Url in a browser on this machine, click the screen and type.  It is valid for 10 minutes.

All servers, with live pictures of their screens: http://127.0.0.1:{ports.api}/console/

From another machine, forward both ports first, with the same numbers on both sides:
  ssh -L {ports.novnc}:127.0.0.1:{ports.novnc} -L {ports.api}:127.0.0.1:{ports.api} THIS-MACHINE

For another link, or one for the Java viewer (nova-xvpvncviewer), ask in a second terminal:
  export {settings}
  {nova} get-vnc-console {SERVER} novnc
  {nova} get-vnc-console {SERVER} xvpvnc

The services' log: {console.log}
Ctrl-C ends the demo, and removes its VMs, its services and their files."""


if __name__ == "__main__":
    sys.exit(main())
