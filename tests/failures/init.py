"""``python -m tests.failures.init COMMAND...``: the first process of a PID namespace.

It passes on signals, and exits with 1 if the command fails.  It reaps orphans, because libvirtd takes a killed QEMU for
running until it is reaped.
"""

import os
import signal
import subprocess
import sys


def main() -> None:
    child = subprocess.Popen(sys.argv[1:]).pid
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) != 0)


if __name__ == "__main__":
    main()
