#!/usr/bin/env python3
"""The prose linter of ``make lint``: find wordings that a reader has to decode.

It reads comments, docstrings and sentences in Python, comments in JavaScript, shell, units and the Makefile, and all of
the documents.  The rules are the phrases of this project's dictionary; general linters, such as proselint, know neither
these phrases nor docstrings.
"""

import argparse
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

SKIPPED_FOLDERS = {"node_modules", "dist", "build", "corpus", "__pycache__"}
"""Folders of other projects' files, built files and fuzz inputs; folders named ``.*`` or ``_*`` are skipped too."""

SKIPPED_FILES = {"scripts/check_prose.py", "tests/test_names.py", "tests/test_prose.py"}
"""These contain the phrases that they look for."""

QUOTED_FOLDERS = ("docs/output",)
"""Folders with the output of other programs."""

LONGEST_LINE = 140
"""Maximum number of characters of a line in a document."""

_USUAL_AFTER_NO = "longer|more|such|way|one|later|less|need|other|wider|log"
"""Words with which "is no" is ordinary English."""

RULES = {
    r"(?:there )?(?:is|are) (?-i:none)(?! of)": "is missing, is invalid, or: there is no ...",
    r"(?-i:none) such": "no such ...",
    r"who(?:m|so)?ever": "any client that, any user who",
    r"nobody's": "unowned",
    r"of (?:ours|theirs)": "our, their",
    r"told": "notified, sent, received",
    r"tells(?! (?:\w+ ){0,3}apart)": "notifies, sends, reports, distinguishes",
    r"said so": "confirmed it",
    r"by who": "by the ... that",
    r", who (?:has|had|is|was|may|can|must)": "a client that, a user who",
    r"for whom": "for the ... that",
    r"(?<!soon\s)(?<!long\s)(?<!far\s)(?<!much\s)as it (?:is|was)(?! (?:not|in|on|at|for)\b)(?! \w+ed\b)": "unchanged",
    r"for good(?! reason)": "permanently",
    r"shall(?: not)?": "must, must not",
    r"takes? along": "removes as well",
    r"hence": "therefore",
    r"last words": "final response",
    r"sign of life": "heartbeat",
    r"nought|naught": "zero",
    r"lately": "recently",
    r"(?:is|are|be) (?:not )?believed": "accepted, trusted",
    r"vouch(?:es)?": "guarantee, confirm",
    r"all the same(?! (?:\w+|as)\b)": "nevertheless, in any case",
    r"whatever comes": "in any case",
    r"(?:of|for|in|to) the own": "the caller's own, its own",
    r"worked off": "processed",
    r"(?:after|for|in|of) so many": "after this many, a number of",
    r"(?-i:Notice) that": "note that, called when",
    r", at most(?=[.:])": "maximum number of ...",
    rf"(?:there )?(?:is|are|was|were) no(?! (?:{_USUAL_AFTER_NO})\b)(?= \w)": "is not a ...",
}
"""A regular expression for words, and what to write instead.  Phrases that begin with "there" are ordinary English."""


def _compiled(rule: str) -> str:
    return (r"\b" if rule[0] != "," else "") + rf"(?:{rule})\b".replace(" ", r"\s+")


def _any_of(rules: Iterable[str]) -> str:
    return "|".join(f"(?:{rule})" for rule in rules).replace(" ", r"[\s#*/\"']+")


_RULES = [(re.compile(_compiled(rule), re.IGNORECASE), advice) for rule, advice in RULES.items()]
# The rules are tried only at the beginning of a word, or at a comma: this takes a seventh of the time.
_ANY = re.compile(
    rf"\b(?=\w)(?:{_any_of(rule for rule in RULES if rule[0] != ',')})\b"
    rf"|(?=,)(?:{_any_of(rule for rule in RULES if rule[0] == ',')})\b",
    re.IGNORECASE,
)
"""Matches every text that can have a finding, before its prose is extracted."""


_PIECE = getattr(tokenize, "FSTRING_MIDDLE", None)  # an f-string is a single token before Python 3.12


class Finding(NamedTuple):
    """One phrase, and the advice about it."""

    line: int
    phrase: str
    advice: str


def python_prose(text: str) -> str:
    """The comments and sentences of a Python file; everything else is blank, so that lines keep their numbers.

    Docstrings count, and so does any string with at least three words: messages, help texts, log lines.
    """
    kept = [list(re.sub(r"\S", " ", line)) for line in text.splitlines(keepends=True)]
    lines = text.splitlines(keepends=True)

    def keep(start: tuple[int, int], end: tuple[int, int]) -> None:
        for number in range(start[0] - 1, end[0]):
            begin = start[1] if number == start[0] - 1 else 0
            stop = end[1] if number == end[0] - 1 else len(lines[number])
            kept[number][begin:stop] = lines[number][begin:stop]

    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            keep((token.start[0], token.start[1] + 1), token.end)
        elif token.type == _PIECE or (token.type == tokenize.STRING and _is_sentence(token.string)):
            keep(token.start, token.end)
    return _without_code(re.sub(r"\{[^{}\n]*\}", _blank, "".join("".join(line) for line in kept)))


def _is_sentence(literal: str) -> bool:
    return len(literal.split()) > 2 and not re.match(r"r?b", literal, re.IGNORECASE)


def script_prose(text: str) -> str:
    """The comments of JavaScript: ``//`` after white space, and ``/* */``."""
    return _only(r"(?<!\S)//[^\n]*|/\*.*?\*/", text, "/*")


def hash_prose(text: str) -> str:
    """The comments of files whose comments begin with ``#``."""
    return _only(r"(?<!\S)#(?!!)[^\n]*", text, "#")


def page_prose(text: str) -> str:
    """A page or a document without its tags and its literal text."""
    return _without_code(re.sub(r"<[^>]*>", _blank, text))


def document_prose(text: str) -> str:
    """A document without literal text, fenced and literal blocks."""
    text = re.sub(r"^```.*?^```", _blank, text, flags=re.M | re.S)
    text = re.sub(r"(?<=::\n)(?:\n|(?:[ ]{4,}).*\n)+", _blank, text)
    return _without_code(text)


def long_lines(text: str) -> Iterator[Finding]:
    """The lines of a document of Sphinx that are longer than :data:`LONGEST_LINE`, except in blocks of code."""
    prose = document_prose(re.sub(r"^( *)\.\. code-block::.*\n(?:\n|\1 +.*\n)*", _blank, text, flags=re.M))
    for number, (line, words) in enumerate(zip(text.split("\n"), prose.split("\n"), strict=True), 1):
        if len(line) > LONGEST_LINE and words.strip():
            yield Finding(number, f"{line.strip()[:30]}...", f"wrap this line of {len(line)} characters")


def _without_code(text: str) -> str:
    return re.sub(r"``[^`]+``|(?<!`)`[^`\n]+`", _blank, text)


def _only(pattern: str, text: str, marks: str) -> str:
    found = [match.span() for match in re.finditer(pattern, text, re.DOTALL)]
    kept = list(re.sub(r"\S", " ", text))
    for begin, end in found:
        kept[begin:end] = text[begin:end].translate({ord(mark): " " for mark in marks})
    return "".join(kept)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"\S", " ", match[0])


READERS = {
    ".py": python_prose,
    ".js": script_prose,
    ".css": script_prose,
    ".html": page_prose,
    ".md": document_prose,
    ".rst": document_prose,
    ".sh": hash_prose,
    ".service": hash_prose,
    ".socket": hash_prose,
    ".conf": hash_prose,
    ".cfg": hash_prose,
    ".toml": hash_prose,
    "Makefile": str,
}
"""How each kind of file is read, by its suffix or its name."""


def reader_of(path: Path) -> Callable[[str], str] | None:
    """Return how a file is read; None: not at all.  The scripts without a suffix are shell scripts."""
    if path.parent.name == "scripts" and not path.suffix:
        return hash_prose
    return READERS.get(path.suffix or path.name)


def findings(name: str, text: str) -> list[Finding]:
    """The findings in a file of this name, in the order of its lines."""
    found = list(long_lines(text)) if name.endswith(".rst") else []
    if not _ANY.search(text):
        return found
    reader = reader_of(Path(name))
    try:
        prose = reader(text) if reader else ""
    except (SyntaxError, tokenize.TokenError) as error:
        return [Finding(getattr(error, "lineno", None) or 1, str(error), "the file cannot be parsed")]
    if not _ANY.search(prose):
        return found
    found += [
        Finding(prose.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), advice)
        for rule, advice in _RULES
        for match in rule.finditer(prose)
        if not match[0].lower().startswith("there")
    ]
    return sorted(found)


def files(folder: Path) -> Iterator[Path]:
    """The files that are read."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name[0] not in "._" and path.name not in SKIPPED_FOLDERS and path.suffix != ".egg-info":
                yield from files(path)
        elif reader_of(path):
            yield path


def check(root: Path, names: Iterable[str]) -> dict[str, list[Finding]]:
    """The findings in these files, by name."""
    names = [name for name in names if name not in SKIPPED_FILES and not name.startswith(QUOTED_FOLDERS)]
    found = {name: findings(name, (root / name).read_text()) for name in names}
    return {name: rows for name, rows in found.items() if rows}


def main(arguments: list[str] | None = None) -> int:
    """Print the findings, and return the exit code."""
    parser = argparse.ArgumentParser(description="Find wordings that a reader has to decode.")
    parser.add_argument("files", nargs="*", help="check these files only (default: the whole checkout)")
    options = parser.parse_args(arguments)
    paths = [Path(name).absolute() for name in options.files] or list(files(ROOT))
    found = check(ROOT, [str(path.relative_to(ROOT)) for path in paths if reader_of(path)])
    for name, rows in found.items():
        for row in rows:
            print(f"{name}:{row.line}: '{row.phrase}': {row.advice}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
