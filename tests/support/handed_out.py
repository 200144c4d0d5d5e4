"""Record the secrets of a run of the whole suite and the output of its services, and search the output for secrets.

A test that makes a token or a password registers it with ``secret()``; ``output()`` keeps the output of a service.
Both do nothing unless ``scripts/check.py`` has set a folder.  It calls ``search()`` at the end, over the kept output
and over trial's logs, which contain every line that the product logged in a test's process.  No Twisted here.
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
"""The environment variable with the folder."""

SHORTEST = 7
"""The minimum number of characters of a secret: shorter texts occur by chance."""

_GREP = ("grep", "--text", "--only-matching", "--fixed-strings", "--file")


def _folder() -> Path | None:
    return Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None


def secret(text: str) -> str:
    """Register a secret, which no output and no log of this run may contain; return it."""
    folder = _folder()
    if folder is not None:
        assert len(text) >= SHORTEST and "\n" not in text
        with (folder / "secrets").open("ab", buffering=0) as file:  # one write, since several processes append at once
            file.write(text.encode() + b"\n")
    return text


def output(name: str, text: str) -> None:
    """Keep what a service printed from its start to its end."""
    folder = _folder()
    if folder is not None:
        path = folder / "outputs" / f"{os.getpid()}-{id(text):x}-{re.sub('[^a-z]', '-', name)}"
        with path.open("a") as file:
            file.write(text)


def begin(folder: Path) -> None:
    """Begin a run: use this folder, and remove the files of the last run."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "outputs").mkdir(parents=True)
    os.environ[VARIABLE] = str(folder)


def forms(text: str) -> Iterator[bytes]:
    """The forms in which a secret can occur: plain, percent-encoded, in Base64 at any offset, in hexadecimal."""
    raw = text.encode()
    yield raw
    yield quote(text, safe="").encode()
    yield raw.hex().encode()
    for offset in range(3):
        # Only the characters that depend on the secret alone: each has six bits, after ``offset`` other bytes.
        coded = base64.b64encode(b"\0" * offset + raw)
        yield coded[-(-8 * offset // 6) : 8 * (offset + len(raw)) // 6]


def search(folder: Path, logs: Iterable[Path]) -> tuple[list[str], dict[str, int]]:
    """Return where secrets occur, by their numbers, and how much was searched: secrets, files, bytes.

    :param logs: files to search besides the kept outputs.
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
        done = subprocess.run(grep, capture_output=True, env={"LC_ALL": "C", "PATH": os.environ["PATH"]})
        if done.returncode > 1:
            raise RuntimeError(done.stderr.decode())
        which = sorted({numbers[form] for form in done.stdout.splitlines()})
        found += [f"{path}: secret {number} of {patterns.parent / 'secrets'}, sorted" for number in which]
    patterns.unlink()
    counts = {"secrets": len(secrets), "files": len(files), "bytes": sum(path.stat().st_size for path in files)}
    return found, counts
