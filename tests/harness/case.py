# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs test functions one after the other and says how they went (TAP)."""

import sys
import time
import traceback

from .pair import accelerator
from .process import clean_up_on_signals


class Skip(Exception):
    """The test cannot run here; says what is missing."""


def needs_kvm(why: str):
    """For what TCG cannot show. Where /dev/kvm opens this never skips."""
    if accelerator() != "kvm":
        raise Skip(f"/dev/kvm does not open: {why}")


def check(condition, text: str):
    if not condition:
        raise AssertionError(text)


def same(got, wanted, what: str):
    check(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")


def run(*tests):
    """Runs `tests`, named by their functions, and exits."""
    clean_up_on_signals()
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        name = test.__name__.replace("_", " ")
        begin = time.monotonic()
        try:
            test()
            line = f"ok {number} - {name}"
        except Skip as e:
            line = f"ok {number} - {name} # SKIP {e}"
        except Exception:  # whatever went wrong, the other tests still run
            failed += 1
            for text in traceback.format_exc().splitlines():
                print(f"# {text}")
            line = f"not ok {number} - {name}"
        print(line)
        print(f"# {time.monotonic() - begin:.1f} s", flush=True)
    sys.exit(1 if failed else 0)
