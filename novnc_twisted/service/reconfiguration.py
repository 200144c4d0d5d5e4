"""Reads the options of a running command again for a reload.

A reload changes only the options with ``mutable=True`` in the table of options.  The others need a restart.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from novnc_twisted.service.checks import examine
from novnc_twisted.service.commands import has_proxy
from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.options.table import TABLE, names

Apply = Callable[[Any], None]
"""A function that applies new options."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The result of reading the options for a reload.

    :ivar conf: the new options.
    :ivar files: the parsed files, and the options of the command line, from which ``conf`` was read.
    :ivar reloaded: the names of the options whose new values the reload puts into use.
    :ivar restart: the names of the options that have changed since the start, but whose new values need a restart.
    """

    conf: Any
    files: Sequence[FlagFile]
    reloaded: list[str]
    restart: list[str]


class Reconfiguration:
    """Reads the configuration files again, and knows which option values are in use.

    :ivar given: whether the files in use were sent with a reload request (``novnc-reload``), to this process or to its
        predecessor in a take-over.  If so, a new process that takes over must use these files instead of those that the
        command line names.
    """

    log = Logger()

    def __init__(self, command: str, reactor: Any, sources: Sequence[str | FlagFile], conf: Any) -> None:
        """:param sources: the configuration files, and perhaps the options of the command line; later ones override
            earlier ones.  A configuration file is a path, which each reload reads again, or a FlagFile, which is in
            memory.  Each option of the command line is a FlagFile, too, with ``is_command_line``.
        :param conf: the options that are in use.
        """
        self._command = command
        self._reactor = reactor
        self._sources = sources
        self._values = dict(_values(conf))
        self.given = False

    @property
    def files(self) -> list[FlagFile]:
        """The configuration files in use if ``given`` is true, otherwise an empty list."""
        files = [one for one in self._sources if isinstance(one, FlagFile) and not one.is_command_line]
        return files if self.given else []

    def read(self, files: Sequence[FlagFile] | None = None) -> Changes:
        """Read and check all options, but do not use them yet.

        :param files: files in memory, used instead of the configuration files in use.  None: the configuration files
            in use; those that are paths are read again.
        :raises Unusable: an option or a file has an error; the text is one line about the first error.
        """
        found = examine(self._command, replaced(self._sources, files), self._reactor)
        if not found.errors and has_proxy(self._command) and self._refuses_all(found.conf):
            found.add_error(
                "[console] trusted_proxies: it is empty, and proxy_protocol stays on until a restart, so that no "
                "client could connect; restart the service, or keep the list until then"
            )
        if found.errors:
            raise Unusable(found.errors[0])
        changed = {option: new for option, new in _values(found.conf) if self._values[option] != new}
        return Changes(
            conf=found.conf,
            files=found.files,
            reloaded=[name for name, mutable in changed if mutable],
            restart=[name for name, mutable in changed if not mutable],
        )

    def _refuses_all(self, conf: Any) -> bool:
        """Return whether the proxies would refuse all connections after a reload with these options.

        A reload does not change ``proxy_protocol`` (``mutable`` is False), so the value in use counts.
        """
        return bool(self._values["[console] proxy_protocol", False]) and not conf.console.trusted_proxies

    def use(self, changes: Changes, *, given: bool) -> None:
        """Record the options and files that are in use after a reload.

        Options that need a restart keep their recorded values.

        :param given: whether the files came with the reload request.
        """
        if given:
            self._sources, self.given = changes.files, True
        for (name, mutable), value in _values(changes.conf):
            if mutable:
                self._values[name, mutable] = value

    def report(self, changes: Changes) -> None:
        """Log which options have changed."""
        if changes.reloaded:
            self.log.info("reload: changed: {options}", options=", ".join(changes.reloaded))
        if changes.restart:
            self.log.warn(
                "reload: changed in the files, but in use only after a restart: {options}",
                options=", ".join(changes.restart),
            )


def replaced(sources: Sequence[str | FlagFile], files: Sequence[FlagFile] | None) -> Sequence[str | FlagFile]:
    """Return ``files``, and the options of the command line from ``sources``.  Later items override earlier ones.

    ``files`` take the place of the first file in ``sources``.  If ``sources`` has no file, ``files`` come first.

    :param files: the files that replace those in ``sources``; None: nothing is replaced, and the result is ``sources``.
    """
    if files is None:
        return sources
    options = [one for one in sources if isinstance(one, FlagFile) and one.is_command_line]
    first = next((number for number, one in enumerate(sources) if one not in options), 0)
    return [*options[:first], *files, *options[first:]]


def for_new_workers(previous: Sequence[FlagFile], changes: Changes) -> list[FlagFile]:
    """Return the files for a worker that is started after a reload, so that it has the options of the other workers.

    The other workers still use the old values of the options in ``changes.restart``.  Therefore these options are taken
    from the previous files, and all others from the new files.

    :param previous: the files that a new worker would have read before this reload.
    """
    # The section and key of each option to keep.  A file may also contain the option under a deprecated name.
    kept = {
        place
        for group, option, _ in names()
        if _name(group, option) in changes.restart
        for place in [(group, option.name), *((str(old.group), str(old.name)) for old in option.deprecated_opts)]
    }
    parts = [
        *(_part(file, lambda place: place not in kept) for file in changes.files),
        *(_part(file, lambda place: place in kept) for file in previous),
    ]
    return [one for one in parts if any(one.sections.values())]


def _part(file: FlagFile, wanted: Callable[[tuple[str, str]], bool]) -> FlagFile:
    """Return a copy of a file with only some of its options.

    :param wanted: called with the section and the key of each option; returns whether the copy has the option.
    """
    part = FlagFile(file.path)
    for section, keys in file.sections.items():
        part.sections[section] = {key: values for key, values in keys.items() if wanted((section, key))}
    return part


def _values(conf: Any) -> Iterator[tuple[tuple[str, bool], Any]]:
    """Yield ``(name, mutable), value`` for each option.  A reload changes only the options that are mutable."""
    for group, options in TABLE.items():
        for option in options:
            yield (_name(group, option), option.mutable), (conf if group == "DEFAULT" else conf[group])[option.dest]


def _name(group: str, option: Any) -> str:
    return str(option.name) if group == "DEFAULT" else f"[{group}] {option.name}"
