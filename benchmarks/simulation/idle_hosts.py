"""``python -m benchmarks.simulation.idle_hosts PORT DOMAINS BUDGET``: thousands of compute hosts that nobody uses.

A real compute host needs a millisecond of CPU each second.  Here, one process acts for all hosts: it opens their
connections, and sends the commands of a real host at the same rate.  It reads no more of the replies than it needs.
``tests/benchmarks/test_simulation.py`` compares the commands with those of a real host.

BUDGET is the number of connections that may be opened.  Every host has a connection for commands.  If too few
connections remain for the queues, the queues of several hosts share one.
"""

import json
import os
import random
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from heapq import heappop, heappush
from typing import Any

import hiredis

from benchmarks.simulation.host_commands import HostCommands, publication, run, words
from novnc_twisted.compute.publisher import RENEWAL
from novnc_twisted.errors import InstanceNotFound
from novnc_twisted.messaging.redis import keys
from novnc_twisted.messaging.redis.heartbeat import BEAT, MAX_BACKOFF, PRESENCE
from novnc_twisted.messaging.redis.link import FIRST_BACKOFF
from novnc_twisted.messaging.redis.messages import read_request, write_reply
from novnc_twisted.messaging.redis.presence import PLAIN
from novnc_twisted.messaging.redis.queue import LONG_BLOCK
from novnc_twisted.messaging.redis.scripts import ALL, REPLY
from novnc_twisted.messaging.redis.serving import MAX_REPLIES
from novnc_twisted.messaging.wire import encode, refused

LONGEST = 150.0
"""Maximum number of seconds of one :meth:`IdleHosts.grow`.

A machine that cannot add all hosts in this time has reached its limit.
"""

TICK = 0.01
"""Seconds for which timers are collected, so that one wake-up serves many hosts."""

_LOOPBACK = "127.0.0.1"
_TOGETHER = 50  # hosts that are added before the loop runs again
_REFUSED = encode(refused(InstanceNotFound("")))


class IdleHosts:
    """All hosts of this process, and their loop.

    :ivar back: the seconds from the last loss of a connection until each host was announced again.
    """

    def __init__(self, port: int, domains: int, budget: int) -> None:
        self.port, self.domains, self.budget = port, domains, budget
        self.poll = select.epoll()
        self.connections: dict[int, _Connection] = {}
        self.hosts: list[_Host] = []
        self.shared: list[_Queue] = []
        self.back: list[float] = []
        self.lost_at = 0.0
        self.calls = 0
        self.total = 0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call a function after a delay, at the next tick."""
        self._count += 1
        due = time.monotonic() + seconds
        heappush(self._timers, (due - due % TICK + TICK, self._count, call))

    def serve(self, until: Callable[[], bool]) -> None:
        """Run the loop until a condition is true, or the parent sends a command."""
        while not until():
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                heappop(self._timers)[2]()
            wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else 1.0
            for number, _ in self.poll.poll(min(wait, 1.0), 1000):
                if number == 0:
                    return
                connection = self.connections.get(number)
                if connection is not None:
                    connection.ready()

    def grow(self, total: int) -> None:
        """Add hosts until there are ``total``, or :data:`LONGEST` seconds have passed."""
        self.total = total
        give_up = time.monotonic() + LONGEST
        while len(self.hosts) < total and time.monotonic() < give_up:
            some = range(len(self.hosts), min(len(self.hosts) + _TOGETHER, total))
            commands = [command for number in some for command in publication(number, self.domains)]
            with socket.create_connection((_LOOPBACK, self.port)) as connection:
                pipeline(connection, commands)
            for number in some:
                self.hosts.append(_Host(self, number))
            self.serve(lambda: all(host.announced for host in self.hosts[-_TOGETHER:]) or time.monotonic() > give_up)

    def queue_of(self, host: "_Host") -> None:
        """Wait for calls to a host, on a connection of its own if the budget allows another one."""
        if not self.shared or len(self.shared) < self.budget - self.total:
            self.shared.append(_Queue(self, host.commands.lists))
        else:
            self.shared[host.number % len(self.shared)].lists += host.commands.lists


def pipeline(connection: socket.socket, commands: list[bytes], at_once: int = 500) -> None:
    """Run commands on a connection, many at a time.

    :raises RuntimeError: one of them failed.
    """
    reader = hiredis.Reader()
    for at in range(0, len(commands), at_once):
        part = commands[at : at + at_once]
        connection.sendall(b"".join(part))
        left = len(part)
        while left:
            reader.feed(connection.recv(1 << 16))
            for reply in _replies(reader):
                if isinstance(reply, hiredis.ReplyError):
                    raise RuntimeError(str(reply))
                left -= 1


def _replies(reader: Any) -> Iterator[Any]:
    while (reply := reader.gets()) is not False:
        yield reply


class _Connection:
    """A connection that is opened again when it is lost, after the same pauses as :class:`.Link`."""

    def __init__(self, hosts: IdleHosts) -> None:
        self._all = hosts
        self._attempt = 0
        self._steps: list[bytes] = []
        self.socket: socket.socket | None = None
        self.up = False
        self._begin()

    def first_steps(self) -> list[bytes]:
        """Return the commands of a new connection; each is sent after the reply to the one before."""
        return [words("HELLO")]

    def is_up(self) -> None:
        """Called when the last of the first steps was answered."""

    def received(self, data: bytes) -> None:
        """Called with bytes that arrived after the first steps."""

    def _begin(self) -> None:
        self._steps = [b"", *self.first_steps()]
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._all.connections[self.socket.fileno()] = self
        self.socket.connect_ex((_LOOPBACK, self._all.port))
        self._all.poll.register(self.socket.fileno(), select.EPOLLOUT)

    def send(self, data: bytes) -> None:
        """Send a command if there is a connection; commands are short, so the kernel takes them at once."""
        if self.up and self.socket is not None:
            try:
                self.socket.send(data)
            except OSError:
                self._lose()

    def ready(self) -> None:
        """Read, or send the next command of a new connection."""
        if self.socket is None:
            return
        try:
            if len(self._steps) == len(self.first_steps()) + 1:
                if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError
                self._all.poll.modify(self.socket.fileno(), select.EPOLLIN)
            else:
                data = self.socket.recv(65536)
                if not data:
                    raise OSError
                if self.up:
                    self.received(data)
                    return
            self._steps.pop(0)
            if self._steps:
                self.socket.send(self._steps[0])
                return
        except BlockingIOError:
            return
        except OSError:
            self._lose()
            return
        self.up, self._attempt = True, 0
        self.is_up()

    def _lose(self) -> None:
        if self.socket is None:
            return
        if self.up:
            self._all.lost_at = max(self._all.lost_at, time.monotonic())
            self._all.back.clear()
        self.up = False
        del self._all.connections[self.socket.fileno()]
        self.socket.close()
        self.socket = None
        longest = min(MAX_BACKOFF, FIRST_BACKOFF * 2**self._attempt)
        self._attempt += 1
        self._all.later(random.uniform(longest / 2, longest), self._begin)


class _Host(_Connection):
    """A host: its connection for commands, with the presence entry, the heartbeat and the renewals of its record."""

    def __init__(self, hosts: IdleHosts, number: int) -> None:
        self.number = number
        self.commands = HostCommands(number, f"idle-{number}", f"idle, {_LOOPBACK}, process {os.getpid()}")
        self._plain = self._life = 0
        self.announced = False
        super().__init__(hosts)
        hosts.later(random.uniform(0, RENEWAL), self._keep)
        hosts.queue_of(self)

    def first_steps(self) -> list[bytes]:
        return [words("HELLO"), words("EVALSHA", ALL[0].sha, 0), words("TIME")]

    def is_up(self) -> None:
        self.announced = False
        self._plain = random.randint(0, PLAIN)
        self._life += 1
        self.send(self.commands.announce)
        self._all.later(random.uniform(0, BEAT), partial(self._beat, self._life))

    def received(self, data: bytes) -> None:
        if data.startswith(b"-NOSCRIPT"):
            self._all.later(0.2, lambda: self.send(self.commands.announce))
        elif not self.announced and not data.startswith(b"-"):
            self.announced = True
            if self._all.lost_at:
                self._all.back.append(time.monotonic() - self._all.lost_at)

    def _beat(self, life: int) -> None:
        if not self.up or life != self._life:
            return  # the next connection has a heartbeat of its own
        if self._plain:
            self._plain -= 1
            renewal = self.commands.renewal(int((time.time() + PRESENCE) * 1000))
        else:
            self._plain = PLAIN
            renewal = self.commands.announce
        self.send(renewal + _TIME)
        self._all.later(BEAT, partial(self._beat, life))

    def _keep(self) -> None:
        self.send(self.commands.renew)
        self._all.later(RENEWAL, self._keep)


_TIME = words("TIME")


class _Queue(_Connection):
    """The connection on which one or several hosts wait for calls.

    Each call is refused, as by a host that does not have the server.
    """

    def __init__(self, hosts: IdleHosts, lists: list[str]) -> None:
        self.lists = [*lists]
        self._reader = hiredis.Reader(encoding="utf-8")
        super().__init__(hosts)

    def is_up(self) -> None:
        self._reader = hiredis.Reader(encoding="utf-8")
        self._pop()

    def _pop(self) -> None:
        self.send(words("BLPOP", *self.lists, LONG_BLOCK))

    def received(self, data: bytes) -> None:
        if data != b"*-1\r\n":
            self._reader.feed(data)
            found = self._reader.gets()
            if found is False:
                return
            if isinstance(found, list):
                self._refuse(*found)
        self._pop()

    def _refuse(self, queue: str, message: str) -> None:
        self._all.calls += 1
        request = read_request(message)
        reply = keys.replies(request.reply_to, queue.rpartition(":")[2])
        host = self._all.hosts[int(queue.split(":")[2].removeprefix("compute.host"))]
        host.send(_TIME + run(REPLY, [reply], write_reply(request, _REFUSED), request.gives_up, MAX_REPLIES))


def main(port: str, domains: str, budget: str) -> None:
    """Run the parent's commands."""
    hosts = IdleHosts(int(port), int(domains), int(budget))
    hosts.poll.register(0, select.EPOLLIN)
    while True:
        hosts.serve(lambda: False)
        line = os.read(0, 65536)
        if not line:
            return
        name, arguments = json.loads(line)
        if name == "grow":
            hosts.poll.unregister(0)
            hosts.grow(arguments["hosts"])
            hosts.poll.register(0, select.EPOLLIN)
        answer = {
            "hosts": len(hosts.hosts),
            "connections": len(hosts.connections),
            "announced": sum(host.announced and host.up for host in hosts.hosts),
            "calls": hosts.calls,
            "back": sorted(hosts.back),
        }
        os.write(1, json.dumps({"result": answer}).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
