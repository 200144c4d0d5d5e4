#!/usr/bin/env python3
"""Write novnc_twisted/web/src/locales/causes.json: the English sentence of each refusal, for the page's translations.

scripts/generate_refusals.py           rewrites the file
scripts/generate_refusals.py --print   prints the new content
"""

import argparse
import json
from pathlib import Path

from novnc_twisted.errors import TABLE

OUTPUT = Path(__file__).resolve().parent.parent / "novnc_twisted" / "web" / "src" / "locales" / "causes.json"


def content() -> str:
    """Return the file's content."""
    return json.dumps({name: row.sentence for name, row in TABLE.items()}, indent=4, ensure_ascii=False) + "\n"


def main() -> None:
    """Read the arguments; write or print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true")
    if parser.parse_args().print:
        print(content(), end="")
    else:
        OUTPUT.write_text(content())


if __name__ == "__main__":
    main()
