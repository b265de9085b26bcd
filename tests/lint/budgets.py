#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Size budgets of the C code in src/ and daemon/: a file is read at a sitting, a function on a screen; no goto.

Functions are measured by universal-ctags from the line of their name to the closing brace.
"""

import json
import math
import re
import shutil
import statistics
import subprocess
from pathlib import Path

import common
from common import Case, Violation

FILE_MEDIAN, FILE_MAX, HEADER_WARN = 220, 700, 200
FUNCTION_P99, FUNCTION_MAX = 60, 80

NOT_CODE = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def code_only(text: str) -> str:
    """`text` without comments and literals, line numbers kept."""
    return NOT_CODE.sub(lambda match: "\n" * match[0].count("\n"), text)


def percentile(values: list[int], percent: int) -> int:
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


def functions(root: Path, paths: list[Path]) -> list[tuple[str, int, str, int]]:
    """(path, line, name, lines) of each function."""
    if shutil.which("ctags") is None:
        raise common.Missing("ctags is not installed")
    if not paths:
        return []
    output = subprocess.run(
        ["ctags", "--options=NONE", "--output-format=json", "--fields=+ne", "--languages=C", "--langmap=C:.c.h",
         "--kinds-C=f", "-f", "-", *[str(p) for p in paths]],
        check=True, capture_output=True, text=True).stdout
    tags = [tag for tag in map(json.loads, output.splitlines()) if tag["_type"] == "tag"]
    return [(common.rel(Path(t["path"]), root), t["line"], t["name"], t["end"] - t["line"] + 1) for t in tags]


def check_files(root: Path, paths: list[Path]) -> list[Violation]:
    sizes = {path: len(common.read(path).splitlines()) for path in paths}
    sources = [size for path, size in sizes.items() if path.suffix == ".c"]
    violations = []
    for path, size in sizes.items():
        name = common.rel(path, root)
        if path.suffix == ".h" and size > HEADER_WARN:
            print(f"{name}:1: note: header of {size} lines, over {HEADER_WARN}")
        if path.suffix == ".c" and size > FILE_MAX:
            violations.append(Violation(name, 1, f"file of {size} lines, over {FILE_MAX}"))
    if sources:
        median = statistics.median(sources)
        print(f"{len(sources)} .c files: {sum(sources)} lines, median {median:.0f}, max {max(sources)}")
        if median > FILE_MEDIAN:
            violations.append(Violation("src", 0, f"median .c file of {median:.0f} lines, over {FILE_MEDIAN}"))
    return violations


def check_functions(root: Path, paths: list[Path]) -> list[Violation]:
    found = functions(root, paths)
    violations = [Violation(path, line, f"{name}() of {lines} lines, over {FUNCTION_MAX}")
                  for path, line, name, lines in found if lines > FUNCTION_MAX]
    if found:
        lengths = [lines for _, _, _, lines in found]
        p99 = percentile(lengths, 99)
        print(f"{len(found)} functions: median {statistics.median(lengths):.0f}, p99 {p99}, max {max(lengths)} lines")
        if p99 > FUNCTION_P99:
            longest = [f"{name}() {lines} ({path}:{line})" for path, line, name, lines in found
                       if lines > FUNCTION_P99]
            violations.append(Violation("src", 0, f"p99 of functions is {p99} lines, over {FUNCTION_P99}: "
                                        + ", ".join(longest)))
    return violations


def check_goto(root: Path, paths: list[Path]) -> list[Violation]:
    violations = []
    cleanups = 0
    for path in paths:
        for number, line in enumerate(code_only(common.read(path)).splitlines(), 1):
            cleanups += len(re.findall(r"\bg_auto|\bg_steal_", line))
            if re.search(r"\bgoto\b", line):
                violations.append(Violation(common.rel(path, root), number, "goto"))
    print(f"{len(violations)} goto, {cleanups} g_auto*/g_steal_*")
    return violations


def check(root: Path) -> list[Violation]:
    paths = list(common.walk(root, ".c", ".h", under=("src/", "daemon/")))
    return check_files(root, paths) + check_functions(root, paths) + check_goto(root, paths)


def source(lines: int, name: str = "f") -> str:
    """A function of exactly `lines` lines from its name to its brace."""
    return f"int\n{name}(void)\n{{\n" + "    ;\n" * (lines - 3) + "}\n"


CASES = [
    Case("within the budgets", {"src/base/a.c": source(60), "daemon/b.c": source(10),
                                "src/base/c.c": '/* no goto\n here */\nchar *s = "goto";\n'}, []),
    Case("a long function", {"src/base/a.c": source(81) + "".join(source(5, f"f{i}") for i in range(20)),
                             "src/base/b.h": source(5)},
         ["src/base/a.c:2: f() of 81 lines", "src:0: p99 of functions is 81"]),
    Case("too many functions over p99", {"src/base/a.c": source(61)}, ["src:0: p99 of functions is 61"]),
    Case("one function of a hundred may reach 80", {
        "src/base/a.c": source(80), "src/base/b.c": "".join(source(4, f"f{i}") for i in range(36)),
        "src/base/c.c": "".join(source(4, f"g{i}") for i in range(36)),
        "src/base/d.c": "".join(source(4, f"h{i}") for i in range(36))}, []),
    Case("a long file", {"daemon/a.c": "int a;\n" * 701, "src/base/b.c": "int b;\n", "src/base/c.c": "int c;\n"},
         ["daemon/a.c:1: file of 701 lines"]),
    Case("files too long on the whole", {"src/base/a.c": "int a;\n" * 221}, ["src:0: median .c file of 221"]),
    Case("goto", {"src/base/a.c": "int\nf(void)\n{\n    /* goto */ goto out;\nout:\n    return 0;\n}\n"},
         ["src/base/a.c:4: goto"]),
]

if __name__ == "__main__":
    common.main(check, CASES)
