# SPDX-License-Identifier: LGPL-2.1-or-later
"""The harness itself: the guest keeps its rate, and its check of the memory passes when it should and fails when it
should."""

from harness.case import Skip, check, run, same
from harness.gdb import write_memory
from harness.guest import PAGE
from harness.pair import MIB, Pair

PAGES_AT = 0x800000  # tests/guest/memory.c
TABLE_AT = 0x200000
BATCH = 16  # pages, tests/guest/memory.h
WS_MIB, TOUCH_MIB = 32, 16


def converging() -> Pair:
    return Pair(f"ws={WS_MIB} touch={TOUCH_MIB} rate=15", bandwidth_mib=40)


def arrive(pair: Pair):
    pair.migrate()
    info = pair.wait_end(60)
    same(info["status"], "completed", "status of the migration")


def plain_qemu_brings_every_page():
    with converging() as pair:
        arrive(pair)
        verdict = pair.verify_destination()
        print(f"# {pair.accel}: silent for {pair.gap_ms():.0f} ms, wrong pages: {verdict} {verdict.reason}")
        if reason := pair.unchecked():
            raise Skip(f"/dev/kvm does not open: {reason}")
        same(verdict.wrong, 0, "wrong pages")
        check(pair.destination.console.last.done > pair.source.console.last.done, "the guest does not run on")


def damage_is_found():
    places = {"in the working set": PAGES_AT + 5 * MIB, "in memory written once": PAGES_AT + (WS_MIB + 9) * MIB}
    with converging() as pair:
        arrive(pair)
        if reason := pair.unchecked():
            raise Skip(f"/dev/kvm does not open: {reason}")
        for number, (where, address) in enumerate(places.items(), 1):
            write_memory(pair.destination, pair.directory, address, b"\1\2\3\4")
            verdict = pair.verify_destination()
            same(verdict.wrong, number, f"wrong pages after damage {where}")
        # Pages and their place in the table that are both of an earlier time agree with each other.
        batch = PAGES_AT + (WS_MIB + 1) * MIB
        stale = (batch - 1).to_bytes(4, "little")
        for address in [TABLE_AT + (batch - PAGES_AT) // (BATCH * PAGE) * 4,
                        *range(batch, batch + BATCH * PAGE, PAGE)]:
            write_memory(pair.destination, pair.directory, address, stale)
        before = pair.destination.console.last
        pair.destination.console.wait(lambda c: c.last.sweeps >= before.sweeps + 3, 30, "sweep")
        check(pair.destination.console.last.lost > before.lost, "stale pages with a stale table are not found")


def rate_and_phases_are_kept():
    with Pair("ws=32 phases=1:0,2:10,0:20") as pair:
        console = pair.source.console
        for begin, end, rate in ((0, 1000, 0), (1100, 3000, 10), (3100, 5000, 20)):
            console.wait(lambda c, end=end: c.last.up >= end, 20, "report")
            first = next(r for r in console.reports if r.up >= begin)
            last = next(r for r in console.reports if r.up >= end)
            got = (last.done - first.done) * PAGE / (last.up - first.up) / 1000
            print(f"# {rate} MB/s wanted, {got:.1f} MB/s done")
            check(rate * 0.7 <= got <= rate * 1.03, f"{got:.1f} MB/s, wanted {rate}")


def options_that_are_not_understood_are_refused():
    for append in ("ws=64 speed=1", "ws=0", "rate=9x", "pattern=up", "phases=1"):
        try:
            with Pair(append, memory_mib=128):
                pass
        except (RuntimeError, ValueError) as e:
            check("bad option" in str(e), str(e))
        else:
            raise AssertionError(f"{append!r} was accepted")


run(plain_qemu_brings_every_page, damage_is_found, rate_and_phases_are_kept,
    options_that_are_not_understood_are_refused)
