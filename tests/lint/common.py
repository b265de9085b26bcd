# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the lints share: the walk over the source tree, the report, and the self-test.

A lint is a function check(root) -> list of Violation; it prints what it measured. Its CASES are small trees with the
violations that it must find in them, so that each lint proves that it can fail.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

SKIP = 77  # meson: the test could not run


class Violation(NamedTuple):
    path: str  # relative to the root
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class Case(NamedTuple):
    name: str
    files: dict[str, str]  # path -> content
    expected: list[str]  # "path:line: part of the message", one for each violation; [] = clean


class Missing(Exception):
    """A tool that the lint needs is not installed."""


Check = Callable[[Path], list[Violation]]


def walk(root: Path, *suffixes: str, under: tuple[str, ...] = ("",)) -> Iterator[Path]:
    """Source files whose name ends with one of `suffixes`, sorted; build trees, hidden folders and caches left out."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not skipped_folder(Path(folder) / f, root))
        for name in sorted(names):
            path = Path(folder) / name
            relative = path.relative_to(root).as_posix()
            if name.endswith(suffixes) and relative.startswith(under) and not path.is_symlink():
                yield path


def skipped_folder(folder: Path, root: Path) -> bool:
    hidden = folder.name.startswith(".") and folder.name != ".ci"
    built = (folder / "meson-private").is_dir() or (folder.parent == root and folder.name.startswith("build"))
    return hidden or built or folder.name == "__pycache__"


def rel(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def matches(expected: str, violation: Violation) -> bool:
    where, _, part = expected.partition(": ")
    return where == f"{violation.path}:{violation.line}" and part in violation.message


def run_case(check: Check, case: Case) -> str | None:
    """None when `check` finds in the tree of `case` just what it must; else what went wrong."""
    with tempfile.TemporaryDirectory(prefix="migrationd-lint-") as folder:
        root = Path(folder)
        for name, content in case.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            if content.startswith("#!"):
                path.chmod(0o755)
        with contextlib.redirect_stdout(io.StringIO()):
            found = check(root)
    left = list(found)
    for expected in case.expected:
        hit = next((v for v in left if matches(expected, v)), None)
        if hit is None:
            return f"did not report \"{expected}\", but {[str(v) for v in found]}"
        left.remove(hit)
    return f"reported without reason: {[str(v) for v in left]}" if left else None


def self_test(check: Check, cases: list[Case]) -> int:
    print(f"1..{len(cases)}")
    failed = 0
    for number, case in enumerate(cases, 1):
        problem = run_case(check, case)
        print(f"{'ok' if problem is None else 'not ok'} {number} - {case.name}", flush=True)
        if problem is not None:
            print(f"# {problem}")
            failed += 1
    return 1 if failed else 0


def main(check: Check, cases: list[Case]) -> None:
    """Entry point of each lint: --root DIR checks a tree, --self-test checks the lint."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path)
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    try:
        if options.self_test:
            sys.exit(self_test(check, cases))
        violations = check(options.root.resolve())
    except Missing as missing:
        print(f"1..0 # SKIP {missing}" if options.self_test else f"SKIP {missing}")
        sys.exit(0 if options.self_test else SKIP)
    for violation in violations:
        print(violation)
    print(f"{len(violations)} violations")
    sys.exit(1 if violations else 0)
