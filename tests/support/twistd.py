"""Run real ``twistd`` commands as child processes, and wait for their log lines."""

import contextlib
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.trial.unittest import TestCase

from tests.support.forked import Forked
from tests.support.handed_out import output
from tests.support.ports import free_port as free_port

DELAY = float(os.environ.get("TEST_SERVICE_DELAY") or 0)
"""Maximum random delay of each service's start, in seconds: no test may depend on the order of starts."""

TWISTD = str(Path(sys.executable).with_name("twistd"))


class Twistd(ProcessProtocol):
    """One ``twistd -n COMMAND`` child.

    :ivar output: everything it printed.
    :ivar ended: fires with its exit code (negative: the signal).
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.output = ""
        self.ended: Deferred[int] = Deferred()
        self.exit_code: int | None = None
        self._awaited: list[tuple[str, Deferred[None]]] = []

    @classmethod
    def start(
        cls,
        test: TestCase,
        command: str,
        conf: str | None = None,
        *,
        options: Sequence[str] = (),
        arguments: Sequence[str] = (),
        shell: str = "",
        customize: str = "",
        forked: bool = True,
        **spawn: Any,
    ) -> "Twistd":
        """Start a command; it is stopped at the end of the test.

        :param conf: the text of nova.conf.
        :param options: further options of twistd.
        :param arguments: further arguments of the command.
        :param shell: a line of shell that runs before the command, in the same process.
        :param customize: the text of a sitecustomize module, for the process and its workers.  A forked process runs it
            after its imports.
        :param forked: start it by :mod:`tests.support.forked` if possible, which takes less processor time.
        :param spawn: further arguments of `reactor.spawnProcess`.
        """
        self = cls(command)
        line = [TWISTD, "-n", "--pidfile=", *options, command, *arguments]
        if conf is not None:
            path = Path(test.mktemp()).absolute()
            path.write_text(conf)
            path.chmod(0o644)
            line += ["--config-file", str(path)]
        if DELAY and not shell:
            shell = f"sleep {random.uniform(0, DELAY):.2f}"
        if shell:
            line = ["/bin/sh", "-c", f'{shell}; exec "$@"', "sh", *line]
        path = spawn.pop("path", "/")
        env, module = None, ""
        if customize:
            folder = Path(test.mktemp()).absolute()
            folder.mkdir()
            module = str(folder / "sitecustomize.py")
            Path(module).write_text(customize)
            env = {**os.environ, "PYTHONPATH": str(folder)}
        if shell or spawn or not forked:
            env = spawn.pop("env", env)
            self.process = reactor.spawnProcess(self, line[0], line, env=env, path=path, **spawn)  # type: ignore[attr-defined]
        else:
            self.process = Forked(self, line, env, path, module)
        test.addCleanup(self.stop)
        return self

    def seen(self, text: str, timeout: float = 120) -> Deferred[None]:
        """Wait until the output contains a text; fail with all of the output if the process ends first."""
        found: Deferred[None] = Deferred()
        if text in self.output:
            found.callback(None)
            return found
        if self.exit_code is not None:
            found.errback(AssertionError(f"{self.command} ended with {self.exit_code}:\n{self.output}"))
            return found
        self._awaited.append((text, found))
        return found.addTimeout(
            timeout,
            reactor,
            lambda r, t: r if not r.check(Exception) else self._late(text),  # type: ignore[arg-type]
        )

    def more(self) -> Deferred[None]:
        """Wait for the next output."""
        more: Deferred[None] = Deferred()
        self._awaited.append(("", more))
        return more

    def _late(self, text: str) -> None:
        raise AssertionError(f"{self.command} did not print {text!r} in time:\n{self.output}")

    def ready(self) -> Deferred[None]:
        """Wait until all services of the command run."""
        return self.seen(f"{self.command} is ready")

    async def stop(self, sign: int = signal.SIGTERM, timeout: float = 60) -> int:
        """Send it a signal, wait until it has ended, and return its exit code."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessExitedAlready):  # but its successor still writes to its output
                self.process.signalProcess(sign)
            killer = reactor.callLater(timeout, self.process.signalProcess, "KILL")  # type: ignore[attr-defined]
            code = await self.ended
            if killer.active():
                killer.cancel()
            return code
        return self.exit_code

    def outReceived(self, data: bytes) -> None:
        self.output += data.decode("utf-8", "replace")
        waiting = [one for one in self._awaited if one[0] in self.output]
        self._awaited = [one for one in self._awaited if one not in waiting]
        for _, found in waiting:
            found.callback(None)

    errReceived = outReceived

    def processEnded(self, reason: Any) -> None:
        status = reason.value
        self.exit_code = (
            0 if reason.check(ProcessDone) else (status.exitCode if status.signal is None else -status.signal)
        )
        output(self.command, self.output)
        waiting, self._awaited = self._awaited, []
        for _, found in waiting:
            found.errback(AssertionError(f"{self.command} ended with {self.exit_code}:\n{self.output}"))
        self.ended.callback(self.exit_code)
