"""``scripts/check_prose.py``: which text it reads in each kind of file, and what it finds."""

import contextlib
import io
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.support.scripts import load

ROOT = Path(__file__).parent.parent


check_prose = load("check_prose")


def found(name: str, text: str) -> list[tuple[int, str]]:
    """The line and phrase of each finding in a file of this name."""
    return [(row.line, row.phrase) for row in check_prose.findings(name, text)]


class ReadersTests(TestCase):
    """Prose is checked, code is not."""

    def test_python(self) -> None:
        text = (
            '"""Whoever comes first."""\n'
            "def whoever():  # the host is told\n"
            '    """One line,\n\n    and of ours another."""\n'
            '    return told, "told", f"the viewer is told {told} of it", b"bytes that are told"\n'
        )
        self.assertEqual(found("a.py", text), [(1, "Whoever"), (2, "told"), (5, "of ours"), (6, "told")])

    def test_a_phrase_across_comment_lines(self) -> None:
        self.assertEqual(found("a.py", "# An empty one is\n# none here.\n"), [(1, "is none")])

    def test_the_constant_none_and_code_in_backticks(self) -> None:
        self.assertEqual(found("a.py", '"""The password is None, or ``whoever`` asks."""\n'), [])

    def test_a_syntax_error(self) -> None:
        (row,) = check_prose.findings("a.py", '"""It is told."""\n  x = (\n')
        self.assertEqual(row.advice, "the file cannot be parsed")

    def test_javascript(self) -> None:
        text = "const told = 'whoever'; // is told\n/* of\n * ours */\nconst url = 'http://told';\n"
        self.assertEqual(found("a.js", text), [(1, "told"), (2, "of ours")])

    def test_documents(self) -> None:
        text = "Whoever\n\n::\n\n    told\n\n``of ours`` is told\n"
        self.assertEqual(found("a.rst", text), [(1, "Whoever"), (7, "told")])
        self.assertEqual(found("a.md", "```sh\nwhoever\n```\nfor good\n"), [(4, "for good")])

    def test_long_lines(self) -> None:
        """Only prose has a maximum width, not code blocks."""
        wide, block = "word " * 28, f"    {'=' * 150}\n"
        text = f"{wide}\n{wide}more\n\n::\n\n{block}\n.. code-block:: json\n\n{block}"
        self.assertEqual(found("a.rst", text), [(2, "word word word word word word ...")])
        self.assertEqual(found("a.md", text), [])

    def test_pages(self) -> None:
        self.assertEqual(found("a.html", '<p id="told">It is told</p>\n'), [(1, "told")])

    def test_units_and_shell(self) -> None:
        text = "#!/bin/told\n# as it is\nExecStart=whoever\n"
        for name in ("a.service", "a.sh", "a.conf"):
            self.assertEqual(found(name, text), [(2, "as it is")])

    def test_ordinary_uses(self) -> None:
        text = "There is none. As long as it is open, none of these is for good reason. A flag tells them apart.\n"
        self.assertEqual(found("a.md", text), [])
        text = "There\n    is no socket: it is no longer open. All the same people. :ivar heard: at most ten.\n"
        self.assertEqual(found("a.md", text), [])

    def test_inverted_and_foreign_phrases(self) -> None:
        for text, phrase in (
            ("What is no socket is refused.", "is no"),
            ("Bytes of a text, at most.", ", at most"),
            ("Notice that it has ended.", "Notice that"),
            ("It ends after so many seconds.", "after so many"),
            ("It is read all the same.", "all the same"),
            ("The header is not believed.", "is not believed"),
        ):
            self.assertEqual(found("a.md", text), [(1, phrase)])


class CheckoutTests(TestCase):
    """The files that are read, and the exit code."""

    def test_everything_is_read(self) -> None:
        names = {str(path.relative_to(ROOT)) for path in check_prose.files(ROOT)}
        for name in (
            "README.md",
            "Makefile",
            "scripts/step",
            "docs/walk.rst",
            "novnc_twisted/errors.py",
            "novnc_twisted/web/src/main.js",
        ):
            self.assertIn(name, names)
        self.assertEqual([name for name in names if "node_modules" in name or "/dist/" in name or ".venv" in name], [])

    def run_on(self, text: str) -> tuple[int, str]:
        """Check a checkout of one file: the exit code, and what is printed."""
        root = Path(self.mktemp()).absolute()
        root.mkdir()
        (root / "a.md").write_text(text)
        self.patch(check_prose, "ROOT", root)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            code = check_prose.main([])
        return code, printed.getvalue()

    def test_a_finding(self) -> None:
        self.assertEqual(self.run_on("It is told.\n"), (1, "a.md:1: 'told': notified, sent, received\n"))

    def test_no_finding(self) -> None:
        self.assertEqual(self.run_on("It is sent.\n"), (0, ""))
