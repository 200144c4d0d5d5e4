"""The published servers of all compute hosts, sorted for lists.

Each compute host publishes its servers as a record in the keyed store.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import TypeAlias

from novnc_twisted.compute import replies
from novnc_twisted.contract.instance import UNKNOWN, Instance
from novnc_twisted.messaging.domain_directory import DomainDirectory
from novnc_twisted.messaging.interfaces import ITransport

_Key: TypeAlias = tuple[str, str]
"""The name and the UUID of a server: lists are sorted by them."""


class _Order:
    """A multiset of keys, which is sorted when it is read.  A key that was added twice must be removed twice."""

    def __init__(self) -> None:
        self._counts: dict[_Key, int] = {}
        self._sorted: list[_Key] = []
        self._changed = False

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, key: _Key) -> None:
        """Add a key, or increase its count by 1."""
        # During a migration, two hosts publish the same server.
        self._counts[key] = self._counts.get(key, 0) + 1
        self._changed = True

    def remove(self, key: _Key) -> None:
        """Decrease the count of a key by 1.  Remove the key when its count becomes 0.

        :raises KeyError: the key is not there.
        """
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]
        self._changed = True

    def keys(self) -> Sequence[_Key]:
        """Return the keys in order, each key once; the caller must not change the list."""
        if self._changed:
            # The list is mostly sorted already, so that sorting takes about one pass.
            kept = [key for key in self._sorted if key in self._counts]
            self._sorted = sorted([*kept, *(self._counts.keys() - set(kept))])
            self._changed = False
        return self._sorted


class InstanceDirectory(DomainDirectory[Instance]):
    """Published servers, with an index of the servers of each project.

    :param now: see :class:`DomainDirectory`.
    """

    def __init__(self, transport: ITransport, now: Callable[[], float] | None = None) -> None:
        super().__init__(transport, replies.instance, now)
        self._all = _Order()
        self._projects: dict[str, _Order] = {}

    def added(self, host: str, uuid: str, entry: Instance) -> None:
        """See DomainDirectory."""
        self._all.add((entry.name, uuid))
        for project in _projects(entry):
            self._projects.setdefault(project, _Order()).add((entry.name, uuid))

    def removed(self, host: str, uuid: str, entry: Instance) -> None:
        """See DomainDirectory."""
        self._all.remove((entry.name, uuid))
        for project in _projects(entry):
            self._projects[project].remove((entry.name, uuid))
            if not len(self._projects[project]):
                del self._projects[project]

    def best(
        self,
        uuid: str,
        unpublished: Mapping[str, Instance],
        visible: Callable[[Instance], bool] = lambda _instance: True,
    ) -> Instance | None:
        """Return a server as one of its hosts reports it; None: no host reports it.

        Several hosts may report one server, for example during a migration.  The report of the host on which the server
        is active is preferred.  Reports of hosts that are dead, or whose libvirt does not answer, are used only if
        there is no other report, and are returned with the state UNKNOWN.

        Among equally good reports, one that the caller may see is preferred: a host that publishes a wrong owner for
        another host's server must not hide that server from its owner.

        :param unpublished: by UUID, the servers of live hosts that have no usable record.  These hosts were asked for
            their servers.
        :param visible: whether the caller may see a server.
        """

        def quality(instance: Instance) -> tuple[int, bool]:
            return _rank(instance), visible(instance)

        found = unpublished.get(uuid)
        for host, entry in self.entries(uuid).items():
            shown = entry if self.is_current(host) else entry.as_unknown()
            if found is None or quality(shown) > quality(found):
                found = shown
        return found

    def page(
        self,
        project: str | None,
        after: Instance | None,
        limit: int | None,
        name: str,
        visible: Callable[[Instance], bool],
        wanted: Callable[[Instance], bool],
        unpublished: Mapping[str, Instance],
    ) -> tuple[list[Instance], bool]:
        """Return the next servers in the order of names and UUIDs, and whether further servers follow.

        :param project: the id or name of the project whose servers are listed; None: all projects.
        :param after: the last server of the previous page.
        :param limit: the maximum number of servers; None: all.
        :param name: a text that the name must contain.
        :param visible: whether the caller may see a server.
        :param wanted: whether a visible server belongs in the list.
        :param unpublished: see :meth:`best`.
        """

        def listed(instance: Instance) -> bool:
            return visible(instance) and (project is None or instance.belongs_to(project))

        order = self._all if project is None else self._projects.get(project, _Order())
        keys = order.keys()
        if unpublished:
            keys = sorted({*keys, *((instance.name, uuid) for uuid, instance in unpublished.items())})
        # Begin after the sort key of the last server, not after a number of servers: servers may have been added or
        # removed since the previous page.
        start = 0 if after is None else bisect_right(keys, (after.name, after.uuid))
        found: list[Instance] = []
        for known_as, uuid in islice(keys, start, None):
            instance = self.best(uuid, unpublished, listed) if name in known_as else None
            # A server has several keys if its hosts report different names.  List it only under the name in its best
            # report.
            if instance is None or instance.name != known_as or not (listed(instance) and wanted(instance)):
                continue
            if limit is not None and len(found) >= limit:
                return found, True
            found.append(instance)
        return found, False


def _rank(instance: Instance) -> int:
    return 2 if instance.is_active else int(instance.state != UNKNOWN)


def _projects(entry: Instance) -> Collection[str]:
    return {project for project in (entry.project_id, entry.project_name) if project}
