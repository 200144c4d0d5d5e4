"""Our proxy with thousands of sessions: the servers and links for them, and a census of the process."""

import http.client
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.load import LOOPBACK, Unavailable
from benchmarks.ours import Console, domain

EACH = 16
"""Sessions of one server: the default of ``max_sessions_per_server``."""

CALL = "call of "
"""Prefix of the census's names for delayed calls of the reactor; the other names are types."""

_CENSUS_TIMEOUT = 60.0


class Crowd(Console):
    """``twistd console`` with one server for every :data:`EACH` sessions, with default settings.

    :param backend: the ports of the VNC servers, one for each server.
    :param token_ttl: seconds for which a link is valid; live sessions extend it.
    """

    name = "ours"
    sessions_per_server = EACH

    def __init__(self, backend: Collection[int], folder: Path, token_ttl: int = 600) -> None:
        self._servers = {str(uuid4()): port for port in backend}
        self.token_ttl = token_ttl
        super().__init__(next(iter(backend)), folder)
        self._uuid = next(iter(self._servers))
        self._census = self.folder / "census.json"

    def command(self) -> list[str]:
        """The command that operators use, under :mod:`benchmarks.watched`."""
        watched = Path(__file__).with_name("watched.py")
        return [sys.executable, "-P", str(watched), str(self._census), *super().command()[1:]]

    def _domains(self) -> str:
        each = enumerate(self._servers.items())
        return f"<node>{''.join(domain(name(number), uuid, port) for number, (uuid, port) in each)}</node>"

    def links(self, front: str, count: int) -> list[tuple[str, str]]:
        """Request this many consoles from the API, of each server in turn.

        :return: the paths for the viewers, and the server's name that each viewer must receive.

        :raises Unavailable: the API refuses a console, or gives out one link twice.
        """
        console_type = {"novnc": "novnc", "xvp": "xvpvnc"}[front]
        asked = json.dumps({"remote_console": {"protocol": "vnc", "type": console_type}})
        headers = {"Content-Type": "application/json", "X-OpenStack-Nova-API-Version": "2.8"}
        servers = list(self._servers)
        paths = []
        connection = http.client.HTTPConnection(LOOPBACK, self.api_port, timeout=30)
        try:
            for number in range(count):
                uuid = servers[number % len(servers)]
                connection.request("POST", f"/v2.1/servers/{uuid}/remote-consoles", asked, headers)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != http.HTTPStatus.OK:
                    raise Unavailable(f"its API answers {answer.status}: {body[:300].decode(errors='replace')}")
                url = urlsplit(json.loads(body)["remote_console"]["url"])
                path = "/console" if front == "xvp" else "/"
                paths.append((f"{path}?{url.query}", name(number % len(servers))))
        except (OSError, http.client.HTTPException, ValueError, KeyError) as trouble:
            raise Unavailable(f"its API gives out no {console_type} console: {trouble!r}") from None
        finally:
            connection.close()
        if len(set(paths)) != count:
            raise Unavailable("its API gave out one link twice")
        return paths

    def disturb(self) -> None:
        """Ask the API about 40 unknown tokens: at each request, the store removes a number of expired tokens."""
        connection = http.client.HTTPConnection(LOOPBACK, self.api_port, timeout=30)
        try:
            for _ in range(40):
                headers = {"X-OpenStack-Nova-API-Version": "2.31"}
                connection.request("GET", f"/v2.1/os-console-auth-tokens/{uuid4()}", headers=headers)
                connection.getresponse().read()
        finally:
            connection.close()

    def census(self) -> Counter[str]:
        """How many objects of each type the process holds, and how many delayed calls of each function.

        :raises Unavailable: it does not write a census.
        """
        self._census.unlink(missing_ok=True)
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGUSR1)
        give_up = time.monotonic() + _CENSUS_TIMEOUT
        while not self._census.exists():
            if time.monotonic() > give_up or self._process.poll() is not None:
                raise Unavailable(f"it does not tell what it holds; {self.last_words()}")
            time.sleep(0.05)
        return Counter(json.loads(self._census.read_text()))


def name(number: int) -> str:
    """A server's name, with the five letters that the load generator expects."""
    return f"b{number:04}"


class CrowdShieldOff(Crowd):
    """The same without the shield."""

    name = "ours, shield off"
    more: ClassVar[str] = "shield = false"
