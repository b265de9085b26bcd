# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ways of KVM to log what a guest writes: each reports exactly what was written, and costs what is said of it. Real
KVM on an emulated processor (tests/harness/lab.py), at sizes that take little time."""

from harness.case import check, needs_kvm, run, same
from harness.lab import Fit, Lab, bench, fit, table

MODES = ("legacy", "manual-protect", "manual-protect+initially-set", "dirty-ring")
STOCK = f"--modes={','.join(MODES)}"  # what Debian's kernel has; see seed.py for the rest
SIZES = (16, 32, 64, 128)


def reports_are_exact(row: dict):
    name = f"{row['mode']}, {row['mib']} MiB, {row['backing']}"
    check(row["available"], f"{name}: not to be had")
    check(row["written"] > 100 and row["copied"] > 100, f"{name}: hardly anything was written")
    same((row["missing"], row["extra"], row["stale"]), (0, 0, 0), f"{name}: pages missing, extra, stale in the copy")


def of(rows: list[dict], mode: str, time: str) -> tuple[Fit, float]:
    """Its slope, and its value at the largest size, in us."""
    block = [row for row in rows if row["mode"] == mode]
    return fit([(row["mib"], row[f"{time}_us"]) for row in block]), block[-1][f"{time}_us"]


def every_mode_reports_exactly_and_costs_what_it_should():
    rows = bench([f"--sizes={','.join(map(str, SIZES))}", STOCK, "--backings=4k", "--cycles=1", "--rounds=3"],
                 lab=Lab(768))
    print("\n".join(f"# {line}" for line in table(rows).splitlines()))
    same([(row["mode"], row["mib"]) for row in rows], [(mode, size) for mode in MODES for size in SIZES], "rows")
    for row in rows:
        reports_are_exact(row)
    # Reading the log of old protects what was written, page by page; with manual protect it copies a bitmap.
    legacy, legacy_most = of(rows, "legacy", "get")
    check(legacy.slope > 0, f"legacy: reading the log does not grow with memory: {legacy}")
    check(legacy_most > 3 * rows[0]["get_us"], f"legacy: {rows[0]['get_us']} us grow to {legacy_most} us only")
    for mode in MODES[1:3]:
        slope, most = of(rows, mode, "get")
        flat = slope.slope < legacy.slope / 10 and most < legacy_most / 5
        check(flat, f"{mode}: reading the log is not flat: {slope}")
    # The start: pages are protected, or with initially-set not at all.
    protect, _ = of(rows, "manual-protect", "start")
    nothing, _ = of(rows, "manual-protect+initially-set", "start")
    check(nothing.slope < max(protect.slope, legacy.slope) / 4, f"initially-set: the start is not flat: {nothing}")


def huge_pages_are_reported_exactly():
    rows = bench(["--sizes=32", STOCK, "--backings=2m", "--cycles=1", "--rounds=3"], lab=Lab(640))
    for row in rows:
        check(row["huge_bytes"] >= 16 << 20, f"{row['mode']}: only {row['huge_bytes']} bytes stand in huge pages")
        reports_are_exact(row)


def a_lost_page_is_found():
    """The check itself: each 50th page of every report is forgotten."""
    rows = bench(["--sizes=16", STOCK, "--backings=4k", "--cycles=1", "--rounds=3", "--lose=50"], lab=Lab(512))
    same([row["mode"] for row in rows], list(MODES), "rows")
    for row in rows:
        check(row["missing"] > 0, f"{row['mode']}: forgotten pages were not missed")
    check(rows[0]["stale"] > 0, "legacy: a copy without the forgotten pages passed for a good one")


def the_same_on_this_machine():
    needs_kvm("the modes of its own KVM")
    rows = bench(["--sizes=16", "--cycles=1", "--rounds=12"], host=True)
    known = [row for row in rows if row["available"]]
    check(known, "no mode at all")
    for row in known:
        reports_are_exact(row)


run(every_mode_reports_exactly_and_costs_what_it_should, huge_pages_are_reported_exactly, a_lost_page_is_found,
    the_same_on_this_machine)
