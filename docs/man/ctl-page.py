#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the manual page of migrationctl: ctl-page.py MIGRATIONCTL TEMPLATE OUTPUT.

Verbs and options come from the program's own help, so that none is missing; @VERBS@, @VERB_OPTIONS@ and @OPTIONS@ in
the template are replaced.
"""

import re
import subprocess
import sys
from pathlib import Path

PLACES = {"Verbs": "@VERBS@", "Options of every verb": "@OPTIONS@"}


def rows(lines: list[str]) -> list[tuple[str, str]]:
    """(term, text) of a block of the help: two blanks, the term, at column 24 the text, maybe on the next line."""
    found = []
    for line in lines:
        if line.startswith("   "):
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}".strip())
        else:
            term, _, text = line.strip().partition("  ")
            if not text and len(line) > 24:
                term, text = line[2:24].strip(), line[24:]
            found.append((term.strip(), text.strip()))
    return found


def definition(term: str, text: str) -> str:
    escaped = re.sub(r"([*`|_\\])", r"\\\1", text)
    return f"``{term}``\n    {escaped[0].upper()}{escaped[1:]}."


def main(program: str, template: str, output: str):
    text = subprocess.run([program, "--help"], check=True, capture_output=True, text=True).stdout
    page = Path(template).read_text(encoding="utf-8")
    for block in text.split("\n\n"):
        title, _, rest = block.partition(":\n")
        place = PLACES.get(title) or ("@VERB_OPTIONS@" if title.startswith("Options of") else None)
        if place is not None:
            page = page.replace(place, "\n\n".join(definition(*row) for row in rows(rest.rstrip("\n").split("\n"))))
    if re.search(r"@[A-Z_]+@", page):
        raise SystemExit("the help has not all parts")
    Path(output).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
