"""The secrets that a run of the whole suite made, what its services printed, and the search of all of it at the end.

Whoever makes a token or a password for a test says so by ``secret()``; ``output()`` keeps what a service printed.  Both
do nothing unless ``scripts/check.py`` has named a folder.  It ends with ``search()``, over what was kept and over
trial's own logs, where every line stands that the product logged in a test's process.  No Twisted here.
"""

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

VARIABLE = "NOVNC_TEST_HANDED_OUT"
"""Of the environment: the folder."""

SHORTEST = 7
"""Characters: a shorter secret stands in many places by chance."""

_GREP = ("grep", "--text", "--only-matching", "--fixed-strings", "--file")


def _folder() -> Path | None:
    return Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None


def secret(text: str) -> str:
    """Nothing that is printed or logged in this run may hold it; gives it back."""
    folder = _folder()
    if folder is not None:
        assert len(text) >= SHORTEST and "\n" not in text
        with (folder / "secrets").open("ab", buffering=0) as file:  # one write, for those who do so at once
            file.write(text.encode() + b"\n")
    return text


def output(name: str, text: str) -> None:
    """What a service printed from its start to its end."""
    folder = _folder()
    if folder is not None:
        path = folder / "outputs" / f"{os.getpid()}-{id(text):x}-{re.sub('[^a-z]', '-', name)}"
        with path.open("a") as file:
            file.write(text)


def begin(folder: Path) -> None:
    """A new run, whose secrets and outputs go there; what the last one left is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "outputs").mkdir(parents=True)
    os.environ[VARIABLE] = str(folder)


def forms(text: str) -> Iterator[bytes]:
    """A secret as it may stand somewhere: as it is, percent-encoded, in Base64 at any offset, in hexadecimal."""
    raw = text.encode()
    yield raw
    yield quote(text, safe="").encode()
    yield raw.hex().encode()
    for offset in range(3):
        # The characters that the secret alone decides: six bits each, of its bytes behind that many others.
        coded = base64.b64encode(b"\0" * offset + raw)
        yield coded[-(-8 * offset // 6) : 8 * (offset + len(raw)) // 6]


def search(folder: Path, logs: Iterable[Path]) -> tuple[list[str], dict[str, int]]:
    """Where which secret stands, without saying it; and how much was searched: secrets, files, bytes.

    :param logs: files besides the kept outputs.
    """
    kept = folder / "secrets"
    secrets = sorted({line for line in kept.read_text().splitlines() if line}) if kept.exists() else []
    numbers = {form: number for number, text in enumerate(secrets) for form in forms(text)}
    patterns = folder / "patterns"
    patterns.write_bytes(b"".join(form + b"\n" for form in numbers))
    files = [path for path in (*sorted((folder / "outputs").iterdir()), *logs) if path.is_file()]
    found = []
    for path in files:
        grep = [*_GREP, str(patterns), str(path)]
        said = subprocess.run(grep, capture_output=True, env={"LC_ALL": "C", "PATH": os.environ["PATH"]})
        if said.returncode > 1:
            raise RuntimeError(said.stderr.decode())
        which = sorted({numbers[form] for form in said.stdout.splitlines()})
        found += [f"{path}: secret {number} of {patterns.parent / 'secrets'}, sorted" for number in which]
    patterns.unlink()
    counts = {"secrets": len(secrets), "files": len(files), "bytes": sum(path.stat().st_size for path in files)}
    return found, counts
