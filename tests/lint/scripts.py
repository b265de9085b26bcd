#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Scripts: bash parses them and shellcheck has nothing to say; Python compiles and runs under Debian's interpreter."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import common
from common import Case, Violation


def first_line(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.readline(200).decode("utf-8", errors="replace").rstrip("\n")


def is_shell(path: Path) -> bool:
    return path.suffix == ".sh" or re.match(r"#!.*\b(ba|da)?sh\b", first_line(path)) is not None


def is_python(path: Path) -> bool:
    return path.suffix == ".py" or re.match(r"#!.*python", first_line(path)) is not None


def check_syntax(path: Path, relative: str) -> list[Violation]:
    run = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return []
    line = re.search(r": line (\d+): (.*)", run.stderr)
    return [Violation(relative, int(line[1]) if line else 1, line[2] if line else run.stderr.strip())]


def check_shellcheck(root: Path, paths: list[Path]) -> list[Violation]:
    if not paths:
        return []
    if shutil.which("shellcheck") is None:
        raise common.Missing("shellcheck is not installed")
    run = subprocess.run(["shellcheck", "--norc", "--external-sources", "--source-path=SCRIPTDIR", "--severity=warning",
                          "--format=json", *[str(p) for p in paths]], capture_output=True, text=True, check=False)
    return [Violation(common.rel(Path(hit["file"]), root), hit["line"], f"SC{hit['code']} {hit['message']}")
            for hit in json.loads(run.stdout)]


def check_python(path: Path, relative: str) -> list[Violation]:
    first = first_line(path)
    if first.startswith("#!") and first != "#!/usr/bin/python3":
        return [Violation(relative, 1, f'"{first}": Debian\'s interpreter is #!/usr/bin/python3')]
    try:
        compile(common.read(path), relative, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return [Violation(relative, getattr(error, "lineno", None) or 1, f"does not compile: {error.args[0]}")]
    return []


def check(root: Path) -> list[Violation]:
    files = [path for path in common.walk(root, "") if not common.rel(path, root).startswith("patches/")]
    shell = [path for path in files if is_shell(path)]
    python = [path for path in files if is_python(path)]
    print(f"{len(shell)} shell scripts, {len(python)} Python files")
    violations = check_shellcheck(root, shell)
    for path in shell:
        violations += check_syntax(path, common.rel(path, root))
    for path in python:
        violations += check_python(path, common.rel(path, root))
    return violations


CASES = [
    Case("clean", {"scripts/run": '#!/bin/bash\necho "$1"\n', "a.py": "print(1)\n",
                   "b": "#!/usr/bin/python3\nprint(1)\n"}, []),
    Case("shellcheck", {"scripts/run": "#!/bin/bash\ncd /tmp\nunused=1\n"},
         ["scripts/run:2: SC2164", "scripts/run:3: SC2034"]),
    Case("shell that does not parse", {"run.sh": "#!/bin/bash\nif true; then\n"},
         ["run.sh:2: SC1073", "run.sh:3: SC1072", "run.sh:3: syntax error"]),
    Case("Python that does not compile", {"a.py": "x = 1\ndef f(:\n"}, ["a.py:2: does not compile"]),
    Case("another interpreter", {"run": "#!/usr/bin/env python3\nprint(1)\n"}, ["run:1: Debian's interpreter"]),
]

if __name__ == "__main__":
    common.main(check, CASES)
