# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ways to bring the guest of a pair to its destination, and what each cost, measured the same way for all."""

import time
from dataclasses import dataclass

from .bus import Bus, CtlError
from .guest import PAGE, Report
from .pair import Pair

START_TIMEOUT = 10


@dataclass
class Outcome:
    engine: str
    finished: bool
    total_ms: float       # QEMU's figure; the time spent trying when it did not finish
    downtime_ms: float    # QEMU's figure
    gap_ms: float         # between the guest's last sign of life here and its first one there
    sent_bytes: int
    ram_bytes: int        # that the guest had written
    lost_s: float         # guest work lost, in seconds at the rate wanted
    wrong: str            # pages, or "unchecked"
    note: str = ""
    migration: str = ""   # id, where migrationd did it


class WorkMeter:
    """Guest work lost since the meter was started. What the guest could not do on this machine even before, its
    share of two busy cores, is taken off."""

    def __init__(self, pair: Pair, settle: float = 2):
        console = pair.source.console
        self.pair = pair
        first = console.last
        self.begin = console.wait(lambda c: c.last if c.last.seen >= first.seen + settle else None, settle + 10,
                                  "report")
        wanted = self.begin.nominal - first.nominal
        self.efficiency = (self.begin.done - first.done) * PAGE / 1000 / wanted if wanted else 1.0
        phases = dict(w.split("=", 1) for w in pair.append.split()).get("phases", "")
        rates = [int(p.split(":")[1]) for p in phases.split(",") if p] or [self.begin.rate]
        self.rate = max(rates)  # MB/s

    def lost_s(self, end: Report) -> float:
        unseen_ms = max(0.0, (end.seen - self.begin.seen) * 1000 - (end.up - self.begin.up))
        wanted_kb = end.nominal - self.begin.nominal + unseen_ms * end.rate
        done_kb = (end.done - self.begin.done) * PAGE / 1000
        lost_kb = max(0.0, wanted_kb * min(self.efficiency, 1.0) - done_kb)
        return lost_kb / (self.rate * 1000) if self.rate else 0.0


def _outcome(engine: str, pair: Pair, meter: WorkMeter, info: dict, started: float) -> Outcome:
    finished = info.get("status") == "completed"
    ram = info.get("ram", {})
    gap, wrong, note = 0.0, "-", ""
    if finished:
        gap = pair.gap_ms()
        end = pair.destination.console.wait(lambda c: c.last, 30, "report at the destination")
        lost = meter.lost_s(end)
        verdict = pair.verify_destination()
        wrong, note = str(verdict), verdict.reason
    else:
        lost = meter.lost_s(pair.source.console.last)
    return Outcome(engine, finished, info.get("total-time") or (time.monotonic() - started) * 1000,
                   info.get("downtime", 0), gap, ram.get("transferred", 0), pair.touched, lost, wrong, note)


def run_qemu(pair: Pair, limit_s: float, auto_converge: bool = False, on_pass=None) -> Outcome:
    """QEMU on its own, with its defaults. Cancelled after `limit_s`; the destination is then gone."""
    meter = WorkMeter(pair)
    pair.set_capabilities(auto_converge=auto_converge)
    started = time.monotonic()
    pair.migrate()
    info = pair.wait_end(limit_s, on_pass)
    outcome = _outcome("qemu-auto-converge" if auto_converge else "qemu", pair, meter, info, started)
    if not outcome.finished:
        pair.cancel()
    return outcome


def run_migrationd(pair: Pair, limit_s: float, bus: Bus) -> Outcome:
    """migrationd, asked through migrationctl, with its default profile."""
    bus.wait_domain(pair.name, START_TIMEOUT)
    meter = WorkMeter(pair)
    started = time.monotonic()
    note = ""
    try:
        report = bus.json("migrate", pair.name, pair.uri, "--wait", timeout=limit_s)
    except CtlError as e:
        report, note = {}, str(e)
    outcome = _outcome("migrationd", pair, meter, pair.info(), started)
    outcome.migration = report.get("Id", "")
    outcome.note = note or outcome.note
    return outcome
