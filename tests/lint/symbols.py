#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Purity of src/policy and src/sim: what their objects call is on a list, and no clock, file, log or random source is.

Reads `nm` of the static libraries. A symbol is fine when one of the libraries defines it or a pattern below allows it;
anything else is a violation, so a new dependency has to be argued for here. Calls that are impure are named as such.
"""

import argparse
import contextlib
import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from common import Violation

PURE = ["libmigd-policy.a", "libmigd-sim.a"]

ALLOWED = re.compile("|".join([
    # memory and strings
    r"g_(malloc|malloc0|realloc|try_malloc|try_malloc0)(_n)?|g_free|g_free_sized|g_clear_pointer|g_memdup2?",
    r"g_str(dup|ndup|dupv|freev|concat|join|joinv|split|split_set|lcpy|lcat|chug|chomp|delimit|rstr|reverse|cmp0)",
    r"g_str_(equal|hash|has_prefix|has_suffix)|g_strv_\w+|g_strdup_v?printf|g_snprintf",
    r"g_ascii_\w+|g_utf8_\w+|g_unichar_\w+|g_pattern_\w+",
    # containers, errors, values
    r"g_(string|array|ptr_array|byte_array|hash_table|list|slist|queue|bytes|checksum|direct|int|int64)_\w+",
    r"g_(error_\w+|set_error|set_error_literal|propagate_error|propagate_prefixed_error|clear_error|prefix_error)",
    r"g_quark_\w+|g_qsort_with_data",
    # programming errors: these end the process or return early; they are no way to report
    r"g_assertion_message\w*|g_return_if_fail_warning|g_assert_warning|abort",
    # key files, only from memory
    r"g_key_file_(new|free|unref|ref|load_from_data|get_\w+|set_\w+|has_\w+|remove_\w+|to_data|error_quark)",
    # C library: memory, strings, sorting
    r"__(mem|str)\w+_chk|mem(cpy|move|set|cmp|chr)|qsort|bsearch",
    r"str(len|nlen|cmp|ncmp|chr|rchr|str|spn|cspn|pbrk|dup|ndup)",
    # C library: arithmetic
    r"(exp|exp2|expm1|log|log2|log10|log1p|pow|sqrt|cbrt|hypot|fabs|fmin|fmax|floor|ceil|round|trunc|fmod)[fl]?",
    r"(ldexp|frexp|lround|llround|lrint|llrint|rint|nearbyint|erf|erfc|sin|cos|tan|tanh|atan|atan2)[fl]?",
    r"__(isnan|isinf|finite|fpclassify|signbit)[fl]?",
    # what the compiler and the sanitizers add
    r"_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__(asan|ubsan|gcov|sanitizer)_\w+|__u?(div|mod|mul)ti3",
]))

IMPURE = {
    "clock": r"clock_\w+|gettimeofday|time|times|ftime|\w*sleep|localtime\w*|gmtime\w*|mktime|strftime|g_get_\w*time"
             r"|g_date_time_\w+|g_time\w+|g_usleep",
    "input or output": r"f?open(at)?(64)?|f?close|f?p?read(64)?|f?p?write(64)?|v?[fd]?printf|puts|f?put[cs]|putchar"
                       r"|fgets|getline|std(in|out|err)|socket|connect|poll|select|ioctl|g_file_\w+|g_io_\w+"
                       r"|g_print\w*|__v?f?printf_chk|g_key_file_load_from_(file|dirs|data_dirs)|g_spawn_\w+|fork"
                       r"|exec\w+|system",
    "log": r"g_log\w*|g_warn\w*|v?syslog|sd_journal_\w+|perror|v?(err|warn)x?",
    "random source": r"s?rand(om)?(_r)?|[dlm]rand48|getrandom|getentropy|arc4random\w*|g_rand\w*"
                     r"|g_uuid_string_random",
    "environment": r"(secure_)?getenv|setenv|environ|getpid|getuid|gethostname|g_getenv|setlocale|localeconv"
                   r"|g_get_(user|host|home|tmp)\w*",
}


def nm(option: str, library: Path) -> list[tuple[str, str]]:
    """(object, symbol) pairs of `library`."""
    output = subprocess.run(["nm", "-A", "-P", option, str(library)], check=True, capture_output=True, text=True).stdout
    pairs = []
    for line in output.splitlines():
        where, _, rest = line.partition(": ")
        member = re.search(r"\[([^\]]+)\]$", where)
        pairs.append((Path(member[1] if member else where).name, rest.split()[0]))
    return pairs


def judge(symbol: str) -> str | None:
    if ALLOWED.fullmatch(symbol):
        return None
    for kind, pattern in IMPURE.items():
        if re.fullmatch(pattern, symbol):
            return f"calls {symbol}: {kind}"
    return f"calls {symbol}, which tests/lint/symbols.py does not list"


def check(pure: list[Path], below: list[Path]) -> list[Violation]:
    """Violations of the libraries `pure`, which may use each other and those in `below`."""
    defined = {symbol for library in pure + below for _, symbol in nm("--defined-only", library)}
    violations = []
    for library in pure:
        calls = nm("--undefined-only", library)
        if not nm("--defined-only", library):
            violations.append(Violation(library.name, 0, "defines nothing: not the library it should be"))
        print(f"{library.name}: {len({symbol for _, symbol in calls} - defined)} symbols from outside")
        for member, symbol in calls:
            problem = None if symbol in defined else judge(symbol)
            if problem is not None:
                violations.append(Violation(f"{library.name}({member})", 0, problem))
    return violations


HEADER = """#include <glib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int below(void);
"""
CASES = {
    "double f(double x) { g_free(g_strdup_printf(\"%g\", x)); return exp(x) + below(); }": None,
    "long f(void) { return time(NULL); }": "calls time: clock",
    "long f(void) { return g_get_monotonic_time(); }": "calls g_get_monotonic_time: clock",
    "void f(void) { printf(\"%d\", below()); }": "input or output",
    "void *f(void) { return fopen(\"/dev/null\", \"r\"); }": "calls fopen: input or output",
    "void f(void) { g_message(\"x\"); }": "calls g_log",
    "int f(void) { return rand(); }": "calls rand: random source",
    "char *f(void) { return getenv(\"X\"); }": "calls getenv: environment",
    "int daemon_state(void); int f(void) { return daemon_state(); }": "calls daemon_state, which",
}


def archive(folder: Path, name: str, source: str) -> Path:
    (folder / f"{name}.c").write_text(source, encoding="utf-8")
    flags = subprocess.run(["pkg-config", "--cflags", "glib-2.0"], check=True, capture_output=True, text=True).stdout
    subprocess.run(["cc", "-O1", *flags.split(), "-c", f"{name}.c", "-o", f"{name}.o"], cwd=folder, check=True)
    subprocess.run(["ar", "rcsT", f"lib{name}.a", f"{name}.o"], cwd=folder, check=True)
    return folder / f"lib{name}.a"


def self_test() -> int:
    print(f"1..{len(CASES)}")
    failed = 0
    for number, (source, expected) in enumerate(CASES.items(), 1):
        with tempfile.TemporaryDirectory(prefix="migrationd-lint-") as folder:
            below = archive(Path(folder), "below", "int below(void); int below(void) { return 1; }")
            with contextlib.redirect_stdout(io.StringIO()):
                found = check([archive(Path(folder), "pure", HEADER + source)], [below])
        good = not found if expected is None else len(found) == 1 and expected in found[0].message
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {expected or 'pure'}", flush=True)
        if not good:
            print(f"# found {[str(v) for v in found]}")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--pure", type=Path, nargs="*", default=[], help="libraries that must be pure")
    parser.add_argument("--below", type=Path, nargs="+", default=[], help="libraries that they may use")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    violations = check(options.pure, options.below)
    given = {library.name for library in options.pure}
    violations += [Violation(name, 0, "was not given: its purity is not checked") for name in PURE if name not in given]
    for violation in violations:
        print(violation)
    print(f"{len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
