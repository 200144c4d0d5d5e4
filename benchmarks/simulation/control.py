"""Child processes that read commands from standard input, one line of JSON each, and answer on standard output."""

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self

from twisted.internet import stdio
from twisted.internet.defer import Deferred
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from benchmarks.load import ROOT, LoadFailed
from demo.guardian import die_with_parent

Command = Callable[..., Awaitable[Any]]


class Child:
    """A child process; it ends with its parent at the latest."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                preexec_fn=die_with_parent,
            )

    @classmethod
    def module(cls, name: str, *arguments: object, folder: Path) -> Self:
        """Start a module of this package."""
        command = [sys.executable, "-m", f"benchmarks.simulation.{name}", *map(str, arguments)]
        return cls(command, folder / f"{name}.log")

    def ask(self, name: str, **arguments: Any) -> Any:
        """Send a command, and wait for its answer.

        :raises LoadFailed: the process has ended, or the command failed.
        """
        self.send(name, **arguments)
        return self.answer()

    def send(self, name: str, **arguments: Any) -> None:
        """Send a command; :meth:`answer` must be called next."""
        if self.process.stdin is None:
            raise LoadFailed("it has no input")
        self.process.stdin.write(json.dumps([name, arguments]).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the answer to the last command.

        :raises LoadFailed: the process has ended, or the command failed.
        """
        line = self.process.stdout.readline() if self.process.stdout else b""
        if not line:
            raise LoadFailed(f"a process ended: {self._log.read_text()[-2000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise LoadFailed(f"{answer['error']}: {self._log.read_text()[-2000:]}")
        return answer["result"]

    def stop(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


class Obeying(LineReceiver):
    """The child's side, which runs the commands on the reactor.

    :param commands: functions by name; each takes the arguments of the command, and returns a value for JSON.
    """

    delimiter = b"\n"

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands

    @classmethod
    def start(cls, **commands: Command) -> "Deferred[None]":
        """Run commands until the parent ends."""
        stdio.StandardIO(cls(commands))
        return Deferred()

    def lineReceived(self, line: bytes) -> None:
        """Run a command, and write its answer."""
        name, arguments = json.loads(line)

        async def run() -> Any:
            return await self._commands[name](**arguments)

        Deferred.fromCoroutine(run()).addCallbacks(self._answer, self._failed)

    def _answer(self, result: Any) -> None:
        self.sendLine(json.dumps({"result": result}).encode())

    def _failed(self, failure: Failure) -> None:
        failure.printTraceback()
        self.sendLine(json.dumps({"error": f"{type(failure.value).__name__}: {failure.value}"}).encode())
