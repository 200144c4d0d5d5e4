"""Parses configuration files: nova.conf, files without sections, and the flag files of nova Essex (2012)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oslo_config import iniparser

from novnc_twisted.service.exits import Unusable, one_line

__all__ = ["FlagFile", "Unusable"]

_MAX_FAULTS = 20
"""Maximum number of faulty lines reported for one file.  If it is not a configuration file, each line may be faulty."""

_COMMENT = re.compile(r"(?:\s|^)[#;]")
_KEYWORDS = ("'self'", "'none'")


class FlagFile(iniparser.BaseParser):
    """A parsed file: sections with keys, and keys with values.

    Lines before the first section belong to [DEFAULT].  A name may begin with ``--``.  As in Essex, ``--flag`` without
    a value means true, and ``--noflag`` means false.

    :ivar path: the path of the file, in a form for messages.
    :ivar sections: section -> key -> the key's values, in the order of the file.
    :ivar lines: the line number of the last assignment to a key, by section and key.
    :ivar commented: the section and key of each option whose last assignment seems to end with a comment.  The class
        Configuration refuses such a value, because oslo.config would take the comment as a part of it.
    :ivar is_command_line: whether the options are those of the command line, and not of a file.
    :ivar faults: a message for each faulty line, up to a maximum; a single message if the file cannot be read.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = one_line(path)  # a path that is not UTF-8 could not be sent to other processes as JSON
        self.section = "DEFAULT"
        self.sections: dict[str, dict[str, list[str]]] = {"DEFAULT": {}}
        self.lines: dict[tuple[str, str], int] = {}
        self.commented: set[tuple[str, str]] = set()
        self.is_command_line = False
        self.faults: list[str] = []
        self._begun = 0  # the line in which the current assignment begins
        self._has_comment = False

    @classmethod
    def read(cls, path: str) -> "FlagFile":
        """Read a file.

        :raises Unusable: the file cannot be read, or a line in it has a wrong form.
        """
        self = cls.read_all(path)
        if self.faults:
            raise Unusable(self.faults[0])
        return self

    @classmethod
    def read_all(cls, path: str) -> "FlagFile":
        """Read a file; its mistakes are in ``faults``."""
        try:
            # utf-8-sig: some editors write a byte order mark, which would otherwise become part of the first name.
            return cls.of_text(path, Path(path).read_text(encoding="utf-8-sig"))
        except OSError as error:
            return cls._faulty(path, [one_line(f"--config-file {path}: {error.strerror}")])
        except UnicodeDecodeError:
            return cls._faulty(path, [one_line(f"--config-file {path}: it is not UTF-8 text")])

    @classmethod
    def of_text(cls, path: str, text: str) -> "FlagFile":
        """Parse the text of a file; its mistakes are in ``faults``.

        :param path: the file's path, for messages.
        """
        lines = text.split("\n")
        faults: list[str] = []
        # iniparser stops at the first mistake.  To find the next one, the faulty line is emptied, and the whole text is
        # parsed again.
        while True:
            self = cls(path)
            try:
                self.parse(lines)
            except iniparser.ParseError as error:
                # The message has only the number of the line, because the line may contain a password.
                faults.append(one_line(f"--config-file {path}: line {error.lineno}: {error.msg}"))
                if len(faults) < _MAX_FAULTS:
                    _remove(lines, error.lineno - 1)
                    continue
            self.faults = faults
            return self

    @classmethod
    def of_command_line(cls, values: Mapping[tuple[str, str], str]) -> "FlagFile":
        """Make a FlagFile from options of the command line.

        :param values: the values, by section and name.
        """
        self = cls("command line")
        self.is_command_line = True
        for place, value in values.items():
            self.sections.setdefault(place[0], {})[place[1]] = [value]
            self.lines[place] = 0  # 0: messages contain no line number
        return self

    @classmethod
    def _faulty(cls, path: str, faults: list[str]) -> "FlagFile":
        self = cls(path)
        self.faults = faults
        return self

    def new_section(self, section: str) -> None:
        """See BaseParser: a ``[section]`` line."""
        self.section = section
        self.sections.setdefault(section, {})

    def assignment(self, key: str, value: list[str]) -> None:
        """See BaseParser: a complete assignment."""
        self.sections[self.section].setdefault(key, []).append("\n".join(value))
        place = (self.section, key)
        self.lines[place] = self._begun
        self.commented.discard(place)
        if self._has_comment or any(_COMMENT.search(line) for line in value[1:]):
            self.commented.add(place)

    def _split_key_value(self, line: str) -> tuple[str, list[str]]:
        """See BaseParser.  A line with an unusable name is a mistake.

        First the leading dashes are removed from the name, then the spaces around it.  What remains must be printable
        and must not be empty.  It must not begin with ``[``, ``#`` or ``;``, and not with a further ``-`` (after a
        space).  In the text that :meth:`normalised` returns, oslo.config would read ``[`` as a section, and ``#`` or
        ``;`` as a comment.
        """
        begin, *comment = _COMMENT.split(line, maxsplit=1)
        # Whether the comment begins before any "=" or ":", as in "--verbose # why: ..." or "name # was: value".
        in_name = bool(comment) and not re.search("[:=]", begin)
        if in_name and begin.startswith("--"):
            line = begin
        key, value = super()._split_key_value(line)
        self._begun = self.lineno
        # iniparser has removed quotes around the value.  Those of _KEYWORDS (Content-Security-Policy) must stay.
        written = re.split(r"[:=]", line, maxsplit=1)[-1].strip()
        if written.lower() in _KEYWORDS:
            value = [written]
        # A "#" inside quotes does not begin a comment.
        quoted = written != value[0] and len(written) > 1
        self._has_comment = in_name or (not quoted and _COMMENT.search(value[0]) is not None)
        name = (_COMMENT.split(key)[0] if in_name else key).lstrip("-").strip()
        if not name or name[0] in "-[#;" or not name.isprintable():
            raise self.parse_exc("no name of an option", self.lineno, line)
        return name, value

    def error_invalid_assignment(self, line: str) -> Any:
        """See BaseParser: a line with neither ``=`` nor ``:`` is a flag of Essex, or a mistake."""
        flag = line.strip()
        if flag.startswith("--no"):
            return flag[4:], ["false"]
        if flag.startswith("--"):
            return flag[2:], ["true"]
        return super().error_invalid_assignment(line)

    def normalised(self) -> str:
        """Return the text of the file in the form that oslo.config reads."""
        lines = []
        for section, keys in self.sections.items():
            lines.append(f"[{section}]")
            for key, values in keys.items():
                lines += [f"{key} = {_quoted(value)}" for value in values]
        return "\n".join(lines) + "\n"


def _remove(lines: list[str], number: int) -> None:
    """Empty a line, and its continuation lines, which would otherwise be reported as further mistakes."""
    lines[number] = ""
    while number + 1 < len(lines) and lines[number + 1].startswith((" ", "\t")):
        number += 1
        lines[number] = ""


def _quoted(value: str) -> str:
    """Format a value for a file.

    The parser that reads the file removes one pair of quotes from the first line of the value.  This line is put in
    quotes if it begins or ends with spaces, is in quotes that must stay, or seems to contain a comment (``commented``).
    """
    first, *others = value.split("\n")
    if first != first.strip() or _COMMENT.search(first) or (first[:1] in ("'", '"') and first[:1] == first[-1:]):
        first = f'"{first}"'
    return "\n  ".join([first, *others])
