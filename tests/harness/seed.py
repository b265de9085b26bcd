# SPDX-License-Identifier: LGPL-2.1-or-later
"""scripts/lab seed: write-protect-all of patches/linux and patches/qemu in the laboratory. Builds both, shows that no
page is lost and that losing one would be found, and measures beside it what Debian's kernel does."""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import paths, seed_daemon, seed_migration, seed_modules, seed_qemu
from .lab import Lab, fit, rows_of, table

PARTS = ("correctness", "figures", "refusals", "migrations")
MODE = "write-protect-all"
OTHERS = ("legacy", "manual-protect", "manual-protect+initially-set")
PARAMETERS = "/sys/module/kvm/parameters"
VERIFY, FORGET = 1, 2  # bits of wp_all_debug
JOB = """export PATH=/bin
{prepare}
echo N >{parameters}/tdp_mmu
echo {debug} >{parameters}/wp_all_debug
/bin/busybox dmesg -c >/dev/null
dirtylog-bench {arguments}
status=$?
echo "checked $(/bin/busybox cat {parameters}/wp_all_checked)"
echo "wrong $(/bin/busybox cat {parameters}/wp_all_wrong)"
/bin/busybox dmesg -r | /bin/busybox sed 's/^/kernel: /'
exit $status
"""
# Without nested paging: KVM has shadow page tables, in the guest's format.
SHADOW = "/bin/busybox rmmod kvm_amd\n/bin/busybox insmod /modules/kvm-amd.ko npt=0"
# What a machine says that is emulated, and has to wait.
HARMLESS = re.compile(r"unstable TSC|hrtimer: interrupt took|clocksource|perf: interrupt took too long")
WARNING = 4  # and what is more severe


@dataclass(frozen=True)
class Watched:
    """`checked`: writable entries of page tables that KVM has looked at, `wrong` of them were not as they must be."""
    rows: list[dict]
    checked: int
    wrong: int
    complaints: list[str]  # of the kernel

    def problems(self) -> list[str]:
        found = [f"the kernel says: {line}" for line in self.complaints]
        if self.wrong:
            found.append(f"{self.wrong} of {self.checked} page table entries are writable and should not be")
        for row in self.rows:
            bad = {name: row[name] for name in ("missing", "extra", "stale") if row.get(name)}
            if bad or not row["available"]:
                found.append(f"{row['mode']}, {row['mib']} MiB, {row['backing']}: {bad or 'not to be had'}")
        return found


def complaints(lines: list[str]) -> list[str]:
    """The kernel's warnings and worse, but for what says no more than that the machine is slow."""
    found = []
    for line in lines:
        said = re.match(r"kernel: <(\d+)>(.*)", line)
        if said and int(said[1]) % 8 <= WARNING and not HARMLESS.search(said[2]):
            found.append(said[2].strip())
    return found


def number(lines: list[str], name: str) -> int:
    return int(next(line.split()[1] for line in lines if re.fullmatch(rf"{name} \d+", line)))


def watched(modules: Path, arguments: list[str], debug: int = 0, memory_mib: int = 768, timeout: float = 3600,
            shadow: bool = False) -> Watched:
    """dirtylog-bench with modules of the series; `debug` is kvm.wp_all_debug."""
    job = JOB.format(prepare=SHADOW if shadow else "", parameters=PARAMETERS, debug=debug,
                     arguments=" ".join(arguments))
    program = Path(paths.program("tests/lab/dirtylog-bench"))
    lines = Lab(memory_mib=memory_mib, modules=modules, timeout=timeout).run(job, {"dirtylog-bench": program})
    return Watched(rows_of(lines), number(lines, "checked"), number(lines, "wrong"), complaints(lines))


# ---- correctness -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    what: str
    arguments: tuple[str, ...]
    shadow: bool = False


def trials(rounds: int, churn: int) -> list[Trial]:
    modes = f"--modes={MODE}"
    exact = (modes, "--sizes=16,32", "--cycles=2", f"--rounds={rounds}", "--vcpus=4")
    wild = (modes, "--sizes=8,96", f"--churn={churn}", "--vcpus=3")
    return [Trial("rounds", exact), Trial("rounds, guest with paging", (*exact, "--paging")),
            Trial("rounds, shadow paging", exact, shadow=True),
            Trial("rounds, shadow paging, guest with paging", (*exact, "--paging"), shadow=True),
            Trial("churn", wild), Trial("churn, guest with paging", (*wild, "--paging")),
            Trial("churn, shadow paging, guest with paging", (*wild, "--paging"), shadow=True)]


def total(rows: list[dict], name: str) -> int:
    return sum(row.get(name, 0) for row in rows)


def correctness(modules: Path, rounds: int, churn: int, say: Callable[[str], None]) -> list[str]:
    """Problems. With all checks of the series on."""
    problems = []
    for trial in trials(rounds, churn):
        seen = watched(modules, list(trial.arguments), VERIFY, shadow=trial.shadow)
        say(f"{trial.what}: {total(seen.rows, 'written')} pages written and counted, {total(seen.rows, 'copied')} "
            f"copied in {total(seen.rows, 'reads')} reads while the guest ran; missing {total(seen.rows, 'missing')}, "
            f"extra {total(seen.rows, 'extra')}, stale {total(seen.rows, 'stale')}; {seen.checked} entries checked, "
            f"{seen.wrong} wrong; {len(seen.complaints)} complaints of the kernel")
        problems += [f"{trial.what}: {problem}" for problem in seen.problems()]
        if seen.checked < 1000 or total(seen.rows, "copied") < 100:
            problems.append(f"{trial.what}: hardly anything was looked at")
    return problems


def loss_is_found(modules: Path, say: Callable[[str], None]) -> list[str]:
    """Problems. KVM forgets to protect some pages: both the accounts and its own checks must see that."""
    arguments = [f"--modes={MODE}", "--sizes=16", "--backings=4k", "--cycles=1", "--rounds=5"]
    seen = watched(modules, arguments, VERIFY | FORGET)
    missing, stale = total(seen.rows, "missing"), total(seen.rows, "stale")
    say(f"forgetting to protect: missing {missing}, stale {stale}; {seen.wrong} entries wrong")
    found = {"no page was missing": missing, "no copy was stale": stale, "KVM has not noticed it": seen.wrong,
             "the kernel's log says nothing": len(seen.complaints)}
    return [f"forgetting to protect: {problem}" for problem, count in found.items() if not count]


# ---- figures -----------------------------------------------------------------------------------


def measure(modules: Path, sizes: str, backing: str, cycles: int, timeout: float) -> list[dict]:
    memory = max(int(size) for size in sizes.split(",")) + 512
    arguments = [f"--modes={','.join((*OTHERS, MODE))}", f"--sizes={sizes}", f"--backings={backing}",
                 f"--cycles={cycles}", "--rounds=0"]
    return watched(modules, arguments, memory_mib=memory, timeout=timeout).rows


def comparison(rows: list[dict]) -> str:
    """A line a size: before = legacy, after = write-protect-all, of the same run."""
    out = ["| MiB | start, ms | get, ms | ratio | write all after it, ms | |", "|---|---|---|---|---|---|"]
    before = {row["mib"]: row for row in rows if row["mode"] == OTHERS[0]}
    after = {row["mib"]: row for row in rows if row["mode"] == MODE}
    for mib in sorted(before.keys() & after.keys()):
        a, b = before[mib], after[mib]
        slower = 100 * (b["first_write_us"] / a["first_write_us"] - 1)
        out.append(f"| {mib} | {a['start_us'] / 1000:.1f} -> {b['start_us'] / 1000:.2f} "
                   f"| {a['get_us'] / 1000:.1f} -> {b['get_us'] / 1000:.2f} | {a['get_us'] / b['get_us']:.0f} "
                   f"| {a['first_write_us'] / 1000:.0f} -> {b['first_write_us'] / 1000:.0f} | {slower:+.0f} % |")
    for name, block in (("before", before), ("after", after)):
        if len(block) > 1:
            out.append(f"get {name}: {fit([(mib, row['get_us']) for mib, row in sorted(block.items())])}")
    return "\n".join(out)


def figures(modules: Path, options: argparse.Namespace, say: Callable[[str], None]) -> list[dict]:
    rows = []
    for backing in options.backings.split(","):
        block = measure(modules, options.sizes, backing, options.cycles, options.timeout)
        rows += block
        say(table(block))
        say(f"\n{backing} pages, before = {OTHERS[0]}, after = {MODE}\n{comparison(block)}")
    return rows


def main(arguments: list[str]):
    parser = argparse.ArgumentParser(prog="scripts/lab seed", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, of these: %(default)s")
    parser.add_argument("--sizes", default="64,128,256,512,1024", help="MiB, of the figures (%(default)s)")
    parser.add_argument("--backings", default="4k,2m", help="of the figures (%(default)s)")
    parser.add_argument("--cycles", type=int, default=1, help="whose medians are the figures (%(default)s)")
    parser.add_argument("--rounds", type=int, default=30, help="of correctness (%(default)s)")
    parser.add_argument("--churn", type=int, default=12, help="passes of the guest while all changes (%(default)s)")
    parser.add_argument("--timeout", type=float, default=7200, help="s of processor time of one boot (%(default)s)")
    parser.add_argument("--migrations", type=int, default=3, help="of each kind, whose medians are shown (%(default)s)")
    parser.add_argument("--json", type=Path, help="keep the rows of the figures in this file")
    options = parser.parse_args(arguments)
    parts = set(options.only.split(","))
    begin = time.monotonic()

    def say(text: str):
        print(text, flush=True)

    problems = []
    modules = seed_modules.build(say)
    qemu = seed_qemu.build(say) if parts & {"refusals", "migrations"} else None
    if "correctness" in parts:
        problems += correctness(modules, options.rounds, options.churn, say)
        problems += loss_is_found(modules, say)
    if "figures" in parts:
        rows = figures(modules, options, say)
        if options.json:
            options.json.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if "refusals" in parts:
        problems += seed_daemon.refusals(qemu, say)
    if "migrations" in parts:
        problems += seed_migration.measured(modules, qemu, options.migrations, options.timeout, say)
    say(f"\n{seed_modules.version()} with {len(seed_modules.patches())} patches, {time.monotonic() - begin:.0f} s")
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main(sys.argv[1:])
