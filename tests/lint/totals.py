#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""scripts/test-totals counts what meson logs: each way a test can end, each way a run can look too good."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

TOTALS = Path(__file__).resolve().parents[2] / "scripts" / "test-totals"

Entry = tuple[str, str]  # meson's result, the program's output

# name, one list of entries a log (None: the log is missing), --no-skips, exit code, last line, a line before it
CASES: list[tuple[str, list[list[Entry] | None], bool, int, str, str]] = [
    ("all pass", [[("OK", "1..2\nok 1 /a\nok 2 - b\n"), ("OK", "fine\n")]], True, 0, "3 passed, 0 failed", ""),
    ("one case fails", [[("FAIL", "1..2\nok 1 a\nnot ok 2 b # broken\n")]], False, 1, "1 passed, 1 failed",
     "failed: t0: b # broken"),
    ("a program fails", [[("FAIL", "oops\n"), ("OK", "")]], False, 1, "1 passed, 1 failed", "failed: t0: fail"),
    ("a crash after good cases", [[("ERROR", "1..3\nok 1 a\nok 2 b\n")]], False, 1, "2 passed, 1 failed",
     "failed: t0: error: stopped before its end"),
    ("a timeout", [[("TIMEOUT", "")]], False, 1, "0 passed, 1 failed", "failed: t0: timeout"),
    ("a skipped program", [[("OK", ""), ("SKIP", "looking\nSKIP: no ctags\n")]], False, 0,
     "1 passed, 0 failed, 1 skipped", "skipped: t1: no ctags"),
    ("a skipped case inside a good program", [[("OK", "1..2\nok 1 a\nok 2 b # SKIP no such device\n")]], False, 0,
     "1 passed, 0 failed, 1 skipped", "skipped: t0: b: no such device"),
    ("a plan of nothing", [[("SKIP", "1..0 # SKIP no qemu\n"), ("OK", "")]], False, 0, "1 passed, 0 failed, 1 skipped",
     "skipped: t0: no qemu"),
    ("a skip where none is allowed", [[("OK", ""), ("SKIP", "SKIP x\n")]], True, 1, "1 passed, 0 failed, 1 skipped",
     "check fails: because"),
    ("a suite without tests", [[("OK", "")], []], False, 1, "1 passed, 0 failed", "build s1             NO TESTS RAN"),
    ("a log that was not written", [[("OK", "")], None], False, 1, "1 passed, 0 failed",
     "build s1             NO TESTS RAN"),
    ("no test at all", [None], False, 1, "0 passed, 0 failed", ""),
    ("diagnostics are not cases", [[("OK", "1..1\n# not ok\n    not ok 1 nested\nokay\nok 1 a\n")]], False, 0,
     "1 passed, 0 failed", ""),
]


def run(logs: list[list[Entry] | None], no_skips: bool) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="migrationd-totals-") as folder:
        paths = []
        for number, entries in enumerate(logs):
            path = Path(folder) / "build" / "meson-logs" / f"s{number}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            paths.append(str(path))
            if entries is not None:
                path.write_text("".join(json.dumps({"name": f"t{i}", "result": result, "stdout": output}) + "\n"
                                        for i, (result, output) in enumerate(entries)), encoding="utf-8")
        options = ["--no-skips", "because"] if no_skips else []
        return subprocess.run([str(TOTALS), *options, *paths], capture_output=True, text=True, check=False)


def main() -> int:
    print(f"1..{len(CASES)}")
    failed = 0
    for number, (name, logs, no_skips, code, last, line) in enumerate(CASES, 1):
        got = run(logs, no_skips)
        lines = got.stdout.splitlines()
        good = got.returncode == code and lines[-1:] == [last] and (not line or line in lines[:-1])
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)
        if not good:
            print("\n".join(f"# {text}" for text in [f"exit {got.returncode}", *lines, *got.stderr.splitlines()]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
