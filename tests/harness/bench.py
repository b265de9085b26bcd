# SPDX-License-Identifier: LGPL-2.1-or-later
"""The benchmarks: what each measures is said in its own module."""

import importlib
import sys

from .process import clean_up_on_signals

KINDS = {
    "live": "engines against each other on real QEMUs",
    "latency": "from MIGRATION_PASS on the socket to the command on the socket",
    "predict": "predictions against what came, on real QEMUs",
    "policy": "engines against the best plan, on described migrations",
    "random": "the policy against its peers on random described migrations",
    "flood": "what a flood of calls does to a live migration",
    "idle": "what migrationd costs with 50 QEMUs and nothing to do",
}


def main() -> int:
    clean_up_on_signals()
    if len(sys.argv) < 2 or sys.argv[1] not in KINDS:
        asked = len(sys.argv) > 1 and sys.argv[1] in ("-h", "--help")
        out = sys.stdout if asked else sys.stderr
        print("Usage: scripts/bench KIND [OPTION…]; scripts/bench KIND --help\n", file=out)
        for kind, what in KINDS.items():
            print(f"  {kind:8} {what}", file=out)
        return 0 if asked else 2
    try:
        return importlib.import_module(f".bench_{sys.argv[1]}", __package__).main(sys.argv[2:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
