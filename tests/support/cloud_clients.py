"""Unmodified clients that run against the API of a cloud."""

import sys
from pathlib import Path
from typing import NamedTuple

from twisted.internet.defer import DeferredSemaphore
from twisted.trial.unittest import TestCase

from tests.support.client_settings import ClientSettings, environment
from tests.support.forked import output_and_value

BIN = Path(sys.executable).parent


class Ran(NamedTuple):
    """What a client printed, and its exit code."""

    output: str
    errors: str
    code: int

    def rows(self) -> list[list[str]]:
        """The cells of its table, including the head."""
        assert self.code == 0, self.output + self.errors
        lines = [line for line in self.output.splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


class CloudClients(ClientSettings):
    """The part of :class:`.Cloud` that runs clients."""

    case: TestCase
    _slots: DeferredSemaphore

    async def client(self, command: str, settings: dict[str, str]) -> Ran:
        """Run an unmodified client with these environment variables."""
        name, *arguments = command.split()
        output, errors, code = await self._slots.run(
            output_and_value, [str(BIN / name), *arguments], environment(self.case.mktemp(), settings)
        )
        return Ran(output.decode(), errors.decode(), code)
