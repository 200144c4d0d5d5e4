"""Read commands and files from the documents, so that tests run what readers copy."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from twisted.internet.utils import getProcessOutputAndValue

DOCS = Path(__file__).parents[2] / "docs"
BIN = Path(sys.executable).parent


def block(page: str, contained: str) -> str:
    """The one literal block of a page that contains this text, without its indentation."""
    blocks = re.findall(r"(?m)^(?:    .*\n|\n)+", (DOCS / page).read_text())
    (found,) = [one for one in blocks if contained in one]
    return dedent(found).strip() + "\n"


def with_values(text: str, values: Mapping[str, str]) -> str:
    """Replace example values of a document by those of this cloud; each of them must occur."""
    for shown, value in values.items():
        assert shown in text, f"{shown} is not in:\n{text}"
        text = text.replace(shown, value)
    return text


async def run(commands: str, settings: Mapping[str, str], folder: str) -> str:
    """Run commands of a document with a shell; return their output.

    :param settings: further environment variables.
    :param folder: a home directory.
    """
    env = {key: value for key, value in os.environ.items() if not re.match(r"(?i)OS_|.*_proxy$", key)}
    env |= {"HOME": folder, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONWARNINGS": "ignore", "COLUMNS": "200"}
    out, err, status = await getProcessOutputAndValue("/bin/sh", ["-euc", commands], env=env | settings)
    if status:
        raise AssertionError(f"{commands}\nended with {status}:\n{out.decode()}{err.decode()}")
    return out.decode()


def cells(table: str) -> dict[str, str]:
    """The rows of a table that ``openstack`` printed: field in lower case -> value."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    return {row[0].lower(): row[1] for row in rows}
