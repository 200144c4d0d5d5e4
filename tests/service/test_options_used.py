"""Every option of the table has a help text, and a module of ``service`` reads it."""

import ast
from dataclasses import fields
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import novnc_twisted.service
from novnc_twisted.service.options.table import TABLE
from novnc_twisted.session import SessionSettings

REFERENCES = {"my_ip", "state_path"}
"""Options that only other options refer to, as ``$my_ip``."""


def names_in(path: Path) -> set[str]:
    """Return the attributes and strings in a module: ``conf.console.shield``, or ``getattr(conf.vnc, "shield")``."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)} | {
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


class Helps(SynchronousTestCase):
    def test_a_help_is_a_sentence(self) -> None:
        for group, options in TABLE.items():
            for option in options:
                self.assertRegex(option.help, r"^[A-Z].*\.$", f"[{group}] {option.name}")

    def test_a_help_says_what_0_means(self) -> None:
        for group, options in TABLE.items():
            for option in options:
                if getattr(option.type, "min", None) == 0:
                    self.assertRegex(option.help, r"\b0\b", f"[{group}] {option.name}")


class OptionsUsed(SynchronousTestCase):
    def test_every_option_is_read(self) -> None:
        folder = Path(novnc_twisted.service.__file__).parent
        read = {name for path in folder.glob("*.py") if not path.name.startswith("option") for name in names_in(path)}
        unread = [
            f"[{group}] {option.name}"
            for group, options in TABLE.items()
            for option in options
            if option.name not in read
        ]
        self.assertEqual([name for name in unread if name.split()[1] not in REFERENCES], [])

    def test_defaults_of_sessions(self) -> None:
        """A program that makes its sessions without options gets the defaults of the options."""
        defaults = {option.name: option.default for options in TABLE.values() for option in options}
        settings = SessionSettings(host=defaults["host"])
        for name in (field.name for field in fields(settings) if field.name in defaults):
            default, value = defaults[name], getattr(settings, name)
            self.assertEqual(value, tuple(default) if isinstance(default, list) else default, name)
