"""Configuration files as people have them: nova.conf, the mail's bare lines, Essex's flag files."""

from pathlib import Path
from typing import Any

from oslo_config import iniparser


class Unusable(Exception):
    """What is wrong with the configuration, in one line that names the option or the file."""


class FlagFile(iniparser.BaseParser):
    """One file as sections of keys of values.

    Lines before the first section count as [DEFAULT]; a leading ``--`` is accepted; a bare ``--flag`` is true and a
    bare ``--noflag`` false, as in Essex.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.section = "DEFAULT"
        self.sections: dict[str, dict[str, list[str]]] = {"DEFAULT": {}}

    @classmethod
    def read(cls, path: str) -> "FlagFile":
        """Read a file.

        :raises Unusable: where it can't be read or a line in it is none of the above.
        """
        self = cls(path)
        try:
            # Some editors begin UTF-8 with a byte order mark, which would be part of the first name.
            self.parse(Path(path).read_text(encoding="utf-8-sig").splitlines())
        except OSError as error:
            raise Unusable(f"--config-file {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise Unusable(f"--config-file {path}: it is not UTF-8 text") from None
        except iniparser.ParseError as error:
            # The line itself may hold a password, so it is named by its number.
            raise Unusable(f"--config-file {path}: line {error.lineno}: {error.msg}") from None
        return self

    def new_section(self, section: str) -> None:
        """A ``[section]`` line."""
        self.section = section
        self.sections.setdefault(section, {})

    def assignment(self, key: str, value: list[str]) -> None:
        """A whole assignment."""
        self.sections[self.section].setdefault(key, []).append("\n".join(value))

    def _split_key_value(self, line: str) -> tuple[str, list[str]]:
        """See BaseParser; a name that oslo.config would read as a section, a comment or nothing is a mistake."""
        key, value = super()._split_key_value(line)
        name = key.lstrip("-").strip()
        if not name or name[0] in "-[#;" or not name.isprintable():
            raise self.parse_exc("no name of an option", self.lineno, line)
        return name, value

    def error_invalid_assignment(self, line: str) -> Any:
        """A line without ``=`` is an Essex flag, or a mistake."""
        flag = line.strip()
        if flag.startswith("--no"):
            return flag[4:], ["false"]
        if flag.startswith("--"):
            return flag[2:], ["true"]
        return super().error_invalid_assignment(line)

    def normalised(self) -> str:
        """The same as oslo.config reads it."""
        lines = []
        for section, keys in self.sections.items():
            lines.append(f"[{section}]")
            for key, values in keys.items():
                lines += [f"{key} = {_quoted(value)}" for value in values]
        return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    """As it stands in a file; in quotes where the reader would take spaces, or quotes, of its first line away."""
    first, *others = value.split("\n")
    if first != first.strip() or (first[:1] in ("'", '"') and first[:1] == first[-1:]):
        first = f'"{first}"'
    return "\n  ".join([first, *others])
