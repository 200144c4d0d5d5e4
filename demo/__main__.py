"""``python -m demo``: a real VM, and the way to its screen that this project is about.

Stays until Ctrl-C or SIGTERM, and leaves nothing behind: the VM, its libvirtd, the services and their folder are gone
when it ends, in whatever way it ends.
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

from demo.guardian import STOP_SIGNALS, die_with_parent, run_guarded
from demo.guest import boot_sector
from demo.libvirtd import LibvirtdFailed, PrivateLibvirtd, small_domain
from demo.services import Console, DemoFailed, Ports, client_settings, get_vnc_console

SERVER = "myserver20"


class Stopped(BaseException):
    """Someone asked the demo to end."""


def main() -> int:
    """Run the demo; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--with-parent", action="store_true", help="end, too, when the process that started it ends")
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
    """All of it, until someone asks it to end; gives the exit code."""
    began = time.monotonic()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        with libvirtd, _console(libvirtd, ports) as console:
            _start_server(libvirtd)
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
    """Print it; whoever read our output and has gone away is as good as one who asks us to end."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        os.kill(os.getpid(), signal.SIGTERM)


def say(text: str) -> None:
    """One line of progress."""
    tell(f"demo: {text}")


def cache_folder() -> Path:
    """Where what libvirt learned about QEMU (2-8 s the first time) is kept from one demo to the next."""
    if os.geteuid() == 0:
        return Path("/var/cache/novnc_twisted-demo")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "novnc_twisted-demo"


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Once is enough: what follows is tidying up, which nobody interrupts."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise Stopped


@contextlib.contextmanager
def _console(libvirtd: PrivateLibvirtd, ports: Ports) -> Iterator[Console]:
    console = Console(libvirtd.root, ports, libvirtd.uri, libvirtd.user)
    try:
        console.start()  # it gets ready while the VM starts
        yield console
    finally:
        console.stop()


def _start_server(libvirtd: PrivateLibvirtd) -> None:
    image = libvirtd.put("guest.img", boot_sector(SERVER))
    libvirtd.define(small_domain(SERVER, boot_image=image))
    libvirtd.start_vm(SERVER)


def _what_next(ports: Ports, console: Console) -> str:
    settings = " ".join(f"{name}={value}" for name, value in client_settings(ports).items())
    nova = os.path.relpath(Path(sys.executable).parent / "nova")
    return f"""Open the Url in a browser on this machine, click the screen and type.  It is valid for 10 minutes.

From another machine, forward the port first, with the same number on both sides:
  ssh -L {ports.novnc}:127.0.0.1:{ports.novnc} THIS-MACHINE

For another link, or one for the Java viewer (nova-xvpvncviewer), ask in a second terminal:
  export {settings}
  {nova} get-vnc-console {SERVER} novnc
  {nova} get-vnc-console {SERVER} xvpvnc

The services' log: {console.log}
Ctrl-C ends the demo: the VM, the services and their files go with it."""


if __name__ == "__main__":
    sys.exit(main())
