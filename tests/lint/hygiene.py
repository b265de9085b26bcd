#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Text of every source file: licence line, preamble, no tabs, no trailing blanks, a final newline, UTF-8."""

import re
from pathlib import Path

import common
from common import Case, Violation

SPDX = re.compile(r"SPDX-License-Identifier: (\S+)")
LICENCE = "LGPL-2.1-or-later"
LICENSED = (".c", ".h", ".S", ".ld", ".py", ".sh", ".xml", ".conf", ".service", ".service.in", ".policy", "meson.build",
            "meson_options.txt")
TEXT = LICENSED + (".md", ".scenario", "NEWS", ".editorconfig", ".clang-format")
PREAMBLE_MIN = 40  # characters: a sentence
LINE_MAX = 120  # clang-format holds code to 100; this is for comments, which it leaves alone, and for other files


def is_script(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"#!"


def check_licence(lines: list[str]) -> str | None:
    match = SPDX.search("\n".join(lines[:5]))
    if match is None:
        return "no SPDX-License-Identifier in the first five lines"
    return None if match[1] == LICENCE else f"licence {match[1]}, not {LICENCE}"


def check_preamble(text: str) -> str | None:
    """After the SPDX line a .c file says in a paragraph what it is."""
    match = re.match(r"/\* SPDX[^\n]*\*/\n/\*(.*?)\*/", text, re.DOTALL)
    if match is None:
        return "no preamble comment right after the SPDX line"
    words = " ".join(match[1].replace("*", " ").split())
    return None if len(words) >= PREAMBLE_MIN else f'preamble says too little: "{words}"'


def check_lines(relative: str, text: str) -> list[Violation]:
    violations = []
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line and not relative.endswith("debian/rules"):  # make wants them
            violations.append(Violation(relative, number, "tab"))
        if line != line.rstrip():
            violations.append(Violation(relative, number, "trailing blank"))
        if len(line) > LINE_MAX and not relative.endswith((".md", ".xml", ".conf")):
            violations.append(Violation(relative, number, f"line of {len(line)} columns, over {LINE_MAX}"))
        if relative.endswith((".c", ".h")) and re.match(r"\s*//", line):
            violations.append(Violation(relative, number, "// comment: write /* */"))
    if text and not text.endswith("\n"):
        violations.append(Violation(relative, text.count("\n") + 1, "no newline at the end"))
    return violations


def check_file(path: Path, relative: str) -> list[Violation]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return [Violation(relative, 1, "not UTF-8")]
    problems = []
    if path.name.endswith(LICENSED) or is_script(path):
        problems.append(check_licence(text.split("\n")))
    if path.suffix == ".c":
        problems.append(check_preamble(text))
    return [Violation(relative, 1, p) for p in problems if p is not None] + check_lines(relative, text)


def wanted(path: Path, relative: str) -> bool:
    if relative.startswith("patches/"):
        return False  # other projects' files under other projects' rules
    return path.name.endswith(TEXT) or is_script(path)


def check(root: Path) -> list[Violation]:
    files = [(path, common.rel(path, root)) for path in common.walk(root, "")]
    files = [(path, relative) for path, relative in files if wanted(path, relative)]
    print(f"{len(files)} files")
    return [violation for path, relative in files for violation in check_file(path, relative)]


HEAD = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"
PREAMBLE = "/*\n * What this file is, in a sentence, and what it must not do.\n */\n"

CASES = [
    Case("clean", {"src/a.c": HEAD + PREAMBLE + "int a;\n", "src/a.h": HEAD, "doc/a.md": "# Title\n",
                   "scripts/run": f"#!/bin/bash\n# SPDX-License-Identifier: {LICENCE}\n",
                   "build-x/a.c": "\t", "patches/a.c": "\t"}, []),
    Case("no licence", {"a.h": "int a;\n", "meson.build": "project()\n", "scripts/run": "#!/bin/sh\n", "a.py": "\n"},
         ["a.h:1: no SPDX", "meson.build:1: no SPDX", "scripts/run:1: no SPDX", "a.py:1: no SPDX"]),
    Case("another licence", {"a.h": "/* SPDX-License-Identifier: MIT */\n"}, ["a.h:1: licence MIT"]),
    Case("no preamble", {"a.c": HEAD + "int a;\n"}, ["a.c:1: no preamble"]),
    Case("empty preamble", {"a.c": HEAD + "/* A file. */\n"}, ["a.c:1: preamble says too little"]),
    Case("blanks", {"a.h": HEAD + "int a; \n\tint b;\n", "b.md": "x"},
         ["a.h:2: trailing blank", "a.h:3: tab", "b.md:1: no newline"]),
    Case("long line", {"a.h": HEAD + "/* " + "x" * 120 + " */\n"}, ["a.h:2: line of 126"]),
    Case("comment style", {"a.h": HEAD + "// no\n"}, ["a.h:2: // comment"]),
]

if __name__ == "__main__":
    common.main(check, CASES)
