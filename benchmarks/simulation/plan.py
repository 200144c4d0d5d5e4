"""The sizes and durations of a simulation run."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parameters of a run.

    :ivar hosts: the numbers of compute hosts, in rising order.
    :ivar sessions: the numbers of live sessions, in rising order, each with the number of proxy workers.
    :ivar real: how many of the hosts are real.
    :ivar domains: servers of each host.
    :ivar seconds: how long a rate is measured; 0: each operation is done :attr:`count` times.
    :ivar count: how often an operation is done if no rate is measured.
    :ivar at_once: users and proxies that send requests at the same time.
    :ivar leases: leases that one proxy worker renews at the same time.
    :ivar outage: seconds for which Redis is down.
    """

    hosts: tuple[int, ...]
    sessions: tuple[tuple[int, int], ...]
    real: int = 20
    domains: int = 20
    seconds: float = 10.0
    count: int = 10
    at_once: int = 8
    leases: int = 25
    outage: float = 1.0


FULL = Plan(hosts=(100, 1_000, 3_000, 10_000), sessions=((1_000, 4), (10_000, 20), (100_000, 200)))
QUICK = Plan(hosts=(100, 1_000), sessions=((1_000, 4), (10_000, 20)), seconds=4.0)
TINY = Plan(hosts=(20, 50), sessions=((200, 3),), real=5, domains=3, seconds=0, count=4, at_once=1, outage=0.1)
"""For the tests: only counts, no rates."""


def sized(hosts: int, sessions: int, full: Plan = FULL) -> Plan:
    """Return the plan up to a number of hosts and sessions."""
    steps = [one for one in full.hosts if one < hosts]
    session_steps = [one for one in full.sessions if one[0] < sessions]
    workers = max(1, min(200, sessions // 500))
    return Plan(hosts=(*steps, hosts), sessions=(*session_steps, (sessions, workers)), seconds=full.seconds)
