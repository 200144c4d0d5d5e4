"""Calls methods of compute hosts, checks the answers, and reads whole lists of servers page by page."""

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from novnc_twisted.compute import replies
from novnc_twisted.contract.instance import Instance
from novnc_twisted.contract.topics import COMPUTE
from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.host_record import MAX_DOMAINS
from novnc_twisted.messaging.interfaces import ITransport

MAX_PAGES = 100
"""Maximum number of pages of a host's list.  A page holds more than a thousand servers with names of usual length."""

T = TypeVar("T")


class HostCalls:
    """Calls methods of compute hosts.

    :param deadline: seconds for an answer, if the caller gives no other deadline.
    :param now: a clock in seconds, for the deadline of a list of several pages; None: each page has the whole deadline.
    """

    def __init__(self, transport: ITransport, deadline: float, now: Callable[[], float] | None) -> None:
        self._transport = transport
        self._deadline = deadline
        self._now = now

    def call(
        self, host: str, read: Callable[[str, Any], T], method: str, deadline: float | None = None, **arguments: Any
    ) -> "Deferred[T]":
        """Call a method of a host.

        :param read: checks the answer of the host, and returns the result.
        :raises ServiceUnavailable: there is no usable answer; the detail names the host.  Other refusals by the method
            are raised unchanged.
        """
        seconds = self._deadline if deadline is None else deadline
        called = self._transport.call(COMPUTE.of(host), method, deadline=seconds, **arguments)
        return called.addErrback(_with_host, host).addCallback(lambda answer: read(host, answer))

    async def lists(self, hosts: list[str], deadline: float) -> tuple[list[list[Instance]], dict[str, Refusal]]:
        """Ask hosts at the same time.  Return the lists of those that answered, and the refusals of the others.

        :param deadline: seconds for all pages of a host; without a clock: for each page.
        """
        answers = await gather(Deferred.fromCoroutine(self._list(host, deadline)) for host in hosts)
        silent = {host: answer for host, answer in zip(hosts, answers, strict=True) if isinstance(answer, Refusal)}
        return [answer for answer in answers if not isinstance(answer, Refusal)], silent

    async def _list(self, host: str, deadline: float) -> list[Instance]:
        """Return the whole list of a host, read page by page."""
        until = None if self._now is None else self._now() + deadline
        found, after = await self.call(host, replies.page, "list_instances", deadline=deadline)
        # The number of pages is limited, because the pages of a faulty host may never end and would fill the memory.
        for _ in range(MAX_PAGES):
            if not after:
                return found
            if len(found) > MAX_DOMAINS:
                raise ServiceUnavailable(f"compute host {host} lists more than {MAX_DOMAINS} servers")
            if self._now is not None and until is not None:
                deadline = until - self._now()
                if deadline <= 0:
                    raise ServiceUnavailable(f"compute host {host} did not list all of its servers in time")
            more, last = await self.call(host, replies.page, "list_instances", deadline=deadline, after=after)
            found += more
            # ``last`` is the UUID of the last server of the page, or empty if no page follows.  Also stop if the UUID
            # does not increase, because a faulty host may repeat pages.
            after = last if last > after else ""
        raise ServiceUnavailable(f"compute host {host} lists more than {MAX_PAGES} pages of servers")


def _with_host(failure: Failure, host: str) -> Failure:
    """Add the host's name to the detail of a ServiceUnavailable.

    Some errors of the bus have the host's topic in their detail.  They stay unchanged, because the topic contains the
    name.
    """
    error = failure.value
    if isinstance(error, ServiceUnavailable) and COMPUTE.of(host) not in error.detail:
        return Failure(ServiceUnavailable(f"compute host {host}: {error.detail}"))
    return failure
