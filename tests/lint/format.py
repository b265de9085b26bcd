#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""clang-format-14 would change nothing. Version 14 is named because versions disagree on the same style file."""

import re
import shutil
import subprocess
from pathlib import Path

import common
from common import Case, Violation

TOOL = "clang-format-14"
FOUND = re.compile(r"^(.+?):(\d+):\d+: (?:error|warning): ")


def check(root: Path) -> list[Violation]:
    if shutil.which(TOOL) is None:
        raise common.Missing(f"{TOOL} is not installed")
    paths = list(common.walk(root, ".c", ".h", under=("src/", "daemon/", "tests/")))
    print(f"{len(paths)} files")
    if not paths:
        return []
    run = subprocess.run([TOOL, "--style=file", "--dry-run", "--Werror", *[str(p) for p in paths]],
                         capture_output=True, text=True, check=False)
    hits = [FOUND.match(line) for line in run.stderr.splitlines()]
    lines: dict[str, set[int]] = {}
    for hit in hits:
        if hit is not None and hit[1].endswith((".c", ".h")):
            lines.setdefault(common.rel(Path(hit[1]), root), set()).add(int(hit[2]))
    if run.returncode != 0 and not lines:
        return [Violation(".clang-format", 1, f"{TOOL} failed: {run.stderr.strip()}")]
    return [Violation(path, min(at), f"differs, here and in {len(at) - 1} more lines: run {TOOL} -i {path}")
            for path, at in sorted(lines.items())]


STYLE = (Path(__file__).resolve().parents[2] / ".clang-format").read_text(encoding="utf-8")

CASES = [
    Case("formatted", {".clang-format": STYLE, "src/a.c": "int\nf(void)\n{\n    return 0;\n}\n"}, []),
    Case("name on the line of its type", {".clang-format": STYLE, "src/a.c": "int f(void)\n{\n    return 0;\n}\n"},
         ["src/a.c:1: run clang-format-14 -i src/a.c"]),
    Case("indentation", {".clang-format": STYLE, "tests/a.h": "struct a {\n  int b;\n};\n"}, ["tests/a.h:1: "]),
    Case("no usable style", {".clang-format": "NoSuchKey: 1\n", "src/a.c": "int a;\n"}, [".clang-format:1: failed"]),
]

if __name__ == "__main__":
    common.main(check, CASES)
