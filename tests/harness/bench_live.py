# SPDX-License-Identifier: LGPL-2.1-or-later
"""Engines against each other: the same workloads on real QEMUs, in turn, medians of several runs. With --engines, those
that the field uses as well, each beside its simulation (bench_order.py)."""

import argparse
import json
import statistics
import sys
from dataclasses import asdict, dataclass

from . import bench_order
from .bus import Bus
from .engines import Outcome, run_migrationd, run_qemu
from .pair import MIB, Pair

NAME = "bench"
BANDWIDTH_MIB = 40
LIMIT_S = 60


@dataclass(frozen=True)
class Workload:
    name: str
    append: str  # of the guest
    what: str


# Against 40 MiB/s. A run starts about 2 s after the guest.
WORKLOADS = [
    Workload("converging", "ws=64 rate=20 touch=64", "64 MiB at 20 MB/s: half of the bandwidth"),
    Workload("plateau", "ws=60 rate=90 touch=4", "60 MiB (1.5 s of bandwidth) at 90 MB/s"),
    Workload("burst", "ws=60 phases=6:5,10:90,0:5 touch=100", "60 MiB: 5 MB/s, then 10 s at 90 MB/s, then 5 MB/s"),
]
ENGINES = ["qemu", "qemu-auto-converge", "migrationd"]


def run_once(engine: str, workload: Workload, limit_s: float) -> Outcome:
    with Bus() as bus, Pair(workload.append, NAME, qmp_dir=bus.qmp_dir, bandwidth_mib=BANDWIDTH_MIB) as pair:
        if engine == "migrationd":
            bus.start_daemon()
            return run_migrationd(pair, limit_s, bus)
        return run_qemu(pair, limit_s, auto_converge=engine == "qemu-auto-converge")


def median(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0


def summary(workload: Workload, engine: str, runs: list[Outcome]) -> dict:
    """Medians over the runs that finished; over all of them, where none did."""
    finished = [r for r in runs if r.finished]
    of = finished or runs
    wrong = [int(r.wrong) for r in finished if r.wrong.isdigit()]
    return {
        "workload": workload.name, "engine": engine, "runs": len(runs), "finished": len(finished),
        "total_ms": round(median([r.total_ms for r in of])),
        "downtime_ms": round(median([r.downtime_ms for r in of])),
        "gap_ms": round(median([r.gap_ms for r in of])),
        "sent_per_ram": round(median([r.sent_bytes / r.ram_bytes for r in of]), 2),
        "lost_s": round(median([r.lost_s for r in of]), 2),
        "wrong_pages": sum(wrong) if len(wrong) == len(finished) and finished else None,
        "notes": sorted({r.note for r in runs if r.note}),
    }


def print_table(rows: list[dict]):
    print(f"{'workload':11} {'engine':19} {'total':>12} {'pause':>8} {'silent':>8} {'sent/RAM':>8} "
          f"{'work lost':>9} {'wrong':>9}  runs")
    for row in rows:
        done = row["finished"] > 0
        total = f"{row['total_ms']} ms" if done else "not finished"
        pause = f"{row['downtime_ms']} ms" if done else "-"
        silent = f"{row['gap_ms']} ms" if done else "-"
        wrong = "-" if not done else "unchecked" if row["wrong_pages"] is None else row["wrong_pages"]
        print(f"{row['workload']:11} {row['engine']:19} {total:>12} {pause:>8} {silent:>8} "
              f"{row['sent_per_ram']:>8.2f} {row['lost_s']:>7.2f} s {wrong:>9}  {row['finished']}/{row['runs']}")
        for note in row["notes"]:
            print(f"{'':11} {note}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench live", description=__doc__)
    parser.add_argument("-n", "--runs", type=int, default=3, help="runs of each engine on each workload (3)")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="only this one; may be repeated")
    parser.add_argument("--workload", action="append", choices=[w.name for w in WORKLOADS],
                        help="only this one; may be repeated")
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="S",
                        help=f"a run that takes longer has not finished ({LIMIT_S} s)")
    parser.add_argument("--json", metavar="FILE", help="write every run and the medians there; - for standard output")
    parser.add_argument("--engines", metavar="all|NAME,...",
                        help="these engines of tests/bench/peers on scenarios, beside their simulation")
    parser.add_argument("--scenario", action="append", metavar="NAME|FILE",
                        help="with --engines: only this one (of tests/live/scenarios); may be repeated")
    options = parser.parse_args(arguments)
    if options.engines:
        return bench_order.main(options)
    engines = options.engine or ENGINES
    workloads = [w for w in WORKLOADS if not options.workload or w.name in options.workload]

    rows, runs = [], []
    for workload in workloads:
        outcomes: dict[str, list[Outcome]] = {engine: [] for engine in engines}
        for number in range(options.runs):
            for engine in engines:  # in turn, so that a slow minute of the machine hits all
                outcome = run_once(engine, workload, options.limit)
                outcomes[engine].append(outcome)
                runs.append({"workload": workload.name, "run": number} | asdict(outcome))
                print(f"{workload.name} {engine} {number + 1}/{options.runs}: "
                      + (f"{outcome.total_ms:.0f} ms" if outcome.finished else "not finished"), file=sys.stderr)
        rows += [summary(workload, engine, outcomes[engine]) for engine in engines]

    report = {"bandwidth_bps": BANDWIDTH_MIB * MIB, "limit_s": options.limit,
              "workloads": [asdict(w) for w in workloads], "medians": rows, "runs": runs}
    if options.json == "-":
        json.dump(report, sys.stdout, indent=1)
        print()
        return 0
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(report, f, indent=1)
    print_table(rows)
    return 0
