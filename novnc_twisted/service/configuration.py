"""Reads the configuration files.  Later files override earlier ones."""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from oslo_config import cfg, types

from novnc_twisted.service.exits import Unusable, one_line
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.misplaced import misplaced
from novnc_twisted.service.options.table import TABLE, names

__all__ = ["Configuration", "Unusable", "in_memory", "read_all", "read_configuration"]

_REFERENCE = re.compile(r"(?<![\\$])\$\{?([A-Za-z_][A-Za-z0-9_.]*)")
"""``$name`` or ``${name}`` in a value.  In ``$$``, and after a backslash, ``$`` stands for itself."""

_OPTION = re.compile(r"(?:\[(\w+)\] )?(\w+)(?=:)")
"""The option with which an error or a warning begins, such as ``[vnc] novncproxy_port:``."""

_LOOKS_COMMENTED = (
    "the value seems to end with a comment; write the comment on a line of its own, or, if it is a part of the value, "
    "write the value in quotes"
)

_NEEDED = {
    "invalid literal for int() with base 10: ": "a whole number",
    "could not convert string to float: ": "a number",
    "Unexpected boolean value ": "true or false",
}
"""Beginning of an error text of Python or oslo.config about a value -> the kind of value that is needed."""

# oslo.config logs warnings about former names before our log is set up.  They are dropped, because former names work.
logging.getLogger("oslo_config").addHandler(logging.NullHandler())
logging.getLogger("oslo_config").propagate = False


@dataclass
class Configuration:
    """The options of the configuration files, with all errors and warnings about them.

    :ivar conf: the options.  An option whose value is refused has its default.
    :ivar files: the parsed files; later ones override earlier ones.
    :ivar errors: one line for each error.  The command cannot start if there are any.
    :ivar warnings: one line for each warning.
    :ivar logged_later: warnings that ``--check-config`` prints.  A start does not report them, because the service logs
        them itself later.
    :ivar refused: the group and name of each option whose value is refused.
    :ivar referable: the names to which values may refer with ``$``.
    """

    conf: Any
    files: list[FlagFile] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    logged_later: list[str] = field(default_factory=list)
    refused: set[tuple[str, str]] = field(default_factory=set)
    referable: set[str] = field(default_factory=set)

    def is_set(self, group: str, name: str) -> bool:
        """Return whether a file sets this option."""
        return self._place(group, name) is not None

    def located(self, line: str) -> str:
        """Put the file and the line that set an option in front of a message about the option.

        If no file sets the option, nothing is put in front of the message.

        :param line: the message, which begins with the option.
        """
        option = self._option_of(line)
        place = self._place(*option) if option is not None else None
        if place is None:
            return one_line(line)
        file, number, _ = place
        return one_line(f"{file.path}:{number}: {line}" if number else f"{file.path}: {line}")

    def add_error(self, line: str) -> None:
        """Add an error, unless it repeats an earlier one, or is about an option that :meth:`refuse` has refused."""
        if self._option_of(line) not in self.refused and self.located(line) not in self.errors:
            self.errors.append(self.located(line))

    def add_warning(self, line: str) -> None:
        """Add a warning, unless :meth:`refuse` has already added an error about its option."""
        if self._option_of(line) not in self.refused:
            self.warnings.append(self.located(line))

    def refuse(self, group: str, option: cfg.Opt, reason: str) -> None:
        """Record an error about the value of an option, and set the option to its default."""
        self.errors.append(self.located(f"[{group}] {option.name}: {reason}"))
        self.refused.add((group, option.name))
        self.conf.set_override(option.name, option.default, None if group == "DEFAULT" else group)

    def check_value(self, group: str, option: cfg.Opt) -> None:
        """Refuse the option's value, if it cannot be used."""
        place = self._place(group, option.name)
        if place is None:
            return
        file, _, key = place
        if key in file.commented:
            self.refuse(group, option, _LOOKS_COMMENTED)
            return
        # The last assignment wins, as in oslo.config.
        written = file.sections[key[0]][key[1]][-1]
        try:
            value = self.conf[option.dest] if group == "DEFAULT" else self.conf[group][option.dest]
        except (cfg.Error, ValueError, RecursionError) as error:
            unknown = [name for name in _REFERENCE.findall(written) if name not in self.referable]
            self.refuse(group, option, value_reason(error, unknown, secret=option.secret))
            return
        if value is None and isinstance(option.type, types.Number | types.Boolean):
            self.refuse(group, option, "a value is missing")

    def _option_of(self, line: str) -> tuple[str, str] | None:
        found = _OPTION.match(line)
        return (found[1] or "DEFAULT", found[2]) if found is not None else None

    def _place(self, group: str, name: str) -> tuple[FlagFile, int, tuple[str, str]] | None:
        """Return the file, the line, and the section and key that set an option; None if no file sets it."""
        options = [option for option in TABLE.get(group, []) if option.name == name]
        keys = [(group, name), *((str(old.group), str(old.name)) for one in options for old in one.deprecated_opts)]
        for file in reversed(self.files):
            for key in keys:
                if key in file.lines:
                    return file, file.lines[key], key
        return None


def read_configuration(sources: Sequence[str | FlagFile]) -> tuple[cfg.ConfigOpts, list[str]]:
    """Read the files, and check each option separately; return the options and the warnings.

    :raises Unusable: an option or a file is wrong; the text is one line that names it.
    """
    read = read_all(sources)
    if read.errors:
        raise Unusable(read.errors[0])
    return read.conf, read.warnings


def read_all(sources: Sequence[str | FlagFile]) -> Configuration:
    """Read the files, and check each option separately; return the options, with all errors and warnings.

    Whether the options fit together is not checked.

    :param sources: paths of files, or files that were read already; later ones override earlier ones.
    """
    files = [source if isinstance(source, FlagFile) else FlagFile.read_all(source) for source in sources]
    read = Configuration(cfg.ConfigOpts(), files)
    read.errors = [fault for file in read.files for fault in file.faults]
    conf = read.conf
    for group, options in TABLE.items():
        conf.register_opts(options, group=None if group == "DEFAULT" else group)
    known = {name for _, _, name in names()}
    read.referable = _referenced(read.files) | {option.name for option in TABLE["DEFAULT"]}
    # oslo.config resolves $name only for registered options.
    for name in sorted(read.referable - known):
        conf.register_opt(cfg.StrOpt(name))
    handles = [in_memory(file) for file in read.files]
    try:
        # oslo.config reads files by their paths only, so the text of FlagFile.normalised() needs a path.
        arguments = [part for handle in handles for part in ("--config-file", f"/proc/self/fd/{handle}")]
        conf(arguments, project="novnc_twisted", default_config_files=[], default_config_dirs=[])
    except cfg.Error as error:
        read.errors.append(one_line(f"--config-file {', '.join(file.path for file in files)}: {error}"))
        return read
    finally:
        for handle in handles:
            os.close(handle)
    for group, options in TABLE.items():
        for option in options:
            read.check_value(group, option)
    read.warnings += misplaced(read.files)
    return read


def in_memory(file: FlagFile) -> int:
    """Write the text for oslo.config, which may contain passwords, to a file in memory; return its descriptor."""
    handle = os.memfd_create("nova.conf")
    os.write(handle, file.normalised().encode())
    return handle


def _referenced(files: list[FlagFile]) -> set[str]:
    """Return the names in [DEFAULT] to which values refer with ``$``, including names that are not in TABLE."""
    values = [v for file in files for keys in file.sections.values() for vs in keys.values() for v in vs]
    defined = {key for file in files for key in file.sections["DEFAULT"]}
    return {name for value in values for name in _REFERENCE.findall(value)} & defined


def value_reason(error: Exception, unknown: Sequence[str], *, secret: bool) -> str:
    """Return the reason why a value is refused.

    :param unknown: the names to which the value refers, and which do not exist.
    :param secret: whether the value must not be shown.
    """
    bad_reference = isinstance(error, cfg.NoSuchOptError | cfg.NoSuchGroupError | cfg.TemplateSubstitutionError)
    if isinstance(error, RecursionError) or (bad_reference and not unknown):
        return "it refers to itself, or to another option that cannot be used"
    if bad_reference:
        what = "a name after a $" if secret else f"${unknown[0]}"
        return f"{what} is read as another option, which does not exist; write $$ for a $ (or %24 in a URL)"
    text = str(error).rpartition("is not valid: ")[2]  # without oslo.config's words, which name the file in memory
    for begin, needed in _NEEDED.items():
        if text.startswith(begin):
            return f"{needed} is needed, not {text.removeprefix(begin)}"
    return text
