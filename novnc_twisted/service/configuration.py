"""Reads the options: ``--config-file`` as often as wanted, later files win, without one nothing is read."""

import difflib
import logging
import os
import re
from collections.abc import Iterator, Sequence

from oslo_config import cfg

from novnc_twisted.service.flagfile import FlagFile, Unusable
from novnc_twisted.service.options import TABLE

__all__ = ["Unusable", "in_memory", "read_configuration"]

_REFERENCE = re.compile(r"(?<![\\$])\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_PORT = re.compile(r"(?:^[^:]*|\]):[0-9]*$")

# oslo.config warns of former names through logging, before there is a log; they are understood, so nobody need act.
logging.getLogger("oslo_config").addHandler(logging.NullHandler())
logging.getLogger("oslo_config").propagate = False


def read_configuration(paths: Sequence[str]) -> tuple[cfg.ConfigOpts, list[str]]:
    """The options of these files, checked whole, and what to warn of.

    :raises Unusable: with one line that names the option or file.
    """
    files = [FlagFile.read(path) for path in paths]
    conf = cfg.ConfigOpts()
    for group, options in TABLE.items():
        conf.register_opts(options, group=None if group == "DEFAULT" else group)
    known = {name for _, _, name in _names()}
    for name in sorted(_referenced(files) - known):
        conf.register_opt(cfg.StrOpt(name))
    handles = [in_memory(file) for file in files]
    try:
        arguments = [part for handle in handles for part in ("--config-file", f"/proc/self/fd/{handle}")]
        conf(arguments, project="novnc_twisted", default_config_files=[], default_config_dirs=[])
        for group, option, _ in _names():
            _check(conf, files, group, option)
    except cfg.Error as error:
        raise Unusable(f"--config-file {', '.join(paths)}: {error}") from None
    finally:
        for handle in handles:
            os.close(handle)
    return conf, [*_near_misses(files), *_idle_origins(conf.console.allowed_origins)]


def _names() -> Iterator[tuple[str, cfg.Opt, str]]:
    """Each option under its name and its former ones."""
    for group, options in TABLE.items():
        for option in options:
            yield group, option, option.name
            for former in option.deprecated_opts:
                yield group, option, str(former.name)


def in_memory(file: FlagFile) -> int:
    """A descriptor of the normalised text: it may hold passwords, so it never touches a disk."""
    handle = os.memfd_create("nova.conf")
    os.write(handle, file.normalised().encode())
    return handle


def _referenced(files: list[FlagFile]) -> set[str]:
    """The names that values refer to with ``$`` and [DEFAULT] defines: nova's guides use some that are not ours."""
    values = [v for file in files for keys in file.sections.values() for vs in keys.values() for v in vs]
    defined = {key for file in files for key in file.sections["DEFAULT"]}
    return {name for value in values for name in _REFERENCE.findall(value)} & defined


def _check(conf: cfg.ConfigOpts, files: list[FlagFile], group: str, option: cfg.Opt) -> None:
    try:
        _ = conf[option.dest] if group == "DEFAULT" else conf[group][option.dest]
    except (cfg.Error, ValueError) as error:
        reason = str(error).rpartition("is not valid: ")[2]  # oslo.config names the file in its own way
        raise Unusable(f"{_place(files, option)}[{group}] {option.name}: {reason}") from None


def _place(files: list[FlagFile], option: cfg.Opt) -> str:
    names = {option.name, *(former.name for former in option.deprecated_opts)}
    for file in reversed(files):
        if any(names & keys.keys() for keys in file.sections.values()):
            return f"{file.path}: "
    return ""


def _near_misses(files: list[FlagFile]) -> Iterator[str]:
    """A typing error in a name would silently leave its default: worth a line.  Other unknown names are nova's."""
    for file in files:
        for section, keys in file.sections.items():
            ours = {
                name
                for group, option, _ in _names()
                for name, where in [(option.name, group)] + [(str(d.name), d.group) for d in option.deprecated_opts]
                if where == section
            }
            for key in keys.keys() - ours:
                near = difflib.get_close_matches(key, ours, n=1, cutoff=0.88)
                if near and key not in _NOVAS:
                    yield f"{file.path}: [{section}] {key} is not known; did you mean {near[0]}?"


def _idle_origins(origins: Sequence[str]) -> Iterator[str]:
    """What no Origin's host can be equal to; nova, too, takes it, and says nothing."""
    for item in origins:
        if "/" in item or _PORT.search(item):
            yield (
                f"[console] allowed_origins: {item} never matches; an item is a host name or an address alone, "
                "without scheme, port and path"
            )


_NOVAS = {"novnc_enabled"}
"""Names of nova that only look like a typing error of ours."""
