"""Every option of the table changes something: a module of ``service`` reads it."""

import ast
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import novnc_twisted.service
from novnc_twisted.service.options import TABLE

REFERENCES = {"my_ip", "state_path"}
"""Options that only other options refer to, as ``$my_ip``."""


def names_in(path: Path) -> set[str]:
    """The attributes and the texts in a module: ``conf.console.shield``, or ``getattr(conf.vnc, "shield")``."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)} | {
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


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
