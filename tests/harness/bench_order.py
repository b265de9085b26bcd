# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every engine on real QEMUs beside the same engine in the simulation: what each run cost (J), and whether both put
the engines in the same order.

A pair of engines says something about order only where the simulation sees a difference of more than TIE; the live
cost of a run that did not arrive is its limit on top, as in the simulation, so engines whose timers are longer than
the scenario lasts cost the same as each other. Guest memory is checked wherever a guest arrives."""

import itertools
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path

from . import paths
from .real_run import RealRun, run
from .twin import Twin

TIE = 0.15
ALIKE = 0.05
SCENARIOS = Path(paths.SOURCE, "tests/live/scenarios")


def all_engines() -> list[str]:
    """As migrationctl knows them."""
    done = subprocess.run([paths.program("tests/bench/engine-run"), "--list"], stdout=subprocess.PIPE, text=True,
                          check=True)
    return done.stdout.split()


def ranks(costs: list[float]) -> list[float]:
    """1 for the least; those that are as good as equal (to ALIKE) share the mean of their ranks."""
    steps = [round(math.log(c) / math.log(1 + ALIKE)) for c in costs]
    order = sorted(steps)
    return [(order.index(v) + 1 + order.index(v) + order.count(v)) / 2 for v in steps]


def correlation(xs: list[float], ys: list[float]) -> float | None:
    """Spearman's, of ranks; None where one side is all the same."""
    xs, ys = ranks(xs), ranks(ys)
    if len(set(xs)) < 2 or len(set(ys)) < 2:
        return None
    return statistics.correlation(xs, ys)


def agreement(rows: list[dict]) -> tuple[int, int]:
    """(pairs in the same order, pairs that the simulation tells apart)."""
    told = same = 0
    for a, b in itertools.combinations(rows, 2):
        ratio = math.log(a["simulated_cost"] / b["simulated_cost"])
        if abs(ratio) > math.log(1 + TIE):
            told += 1
            same += (ratio > 0) == (a["live_cost"] > b["live_cost"])
    return same, told


def row_of(scenario: str, engine: str, runs: list[RealRun]) -> dict:
    wrong = [int(r.wrong) for r in runs if r.wrong.isdigit()]
    return {
        "scenario": scenario, "engine": engine, "runs": len(runs), "arrived": sum(r.arrived for r in runs),
        "live_cost": statistics.median([r.account["cost"] for r in runs]),
        "simulated_cost": statistics.median([r.simulated["cost"] for r in runs]),
        "live": [r.account["result"] for r in runs], "simulated": sorted({r.simulated["result"] for r in runs}),
        "live_ms": statistics.median([r.account["total_ms"] for r in runs]),
        "simulated_ms": statistics.median([r.simulated["total_ms"] for r in runs]),
        "live_pause_ms": statistics.median([r.account["downtime_ms"] for r in runs]),
        "work_lost_s": statistics.median([r.work_lost_s for r in runs]),
        "wrong_pages": sum(wrong) if wrong else None,
        "unchecked": sum(r.wrong == "unchecked" for r in runs),
        "disturbed": sum(bool(r.disturbed) for r in runs),
    }


def overall(rows: list[dict], scenarios: list[str]) -> list[dict]:
    """Of each engine that ran everywhere: the geometric means."""
    engines = dict.fromkeys(r["engine"] for r in rows)
    means = []
    for engine in engines:
        own = [r for r in rows if r["engine"] == engine]
        if len(own) == len(scenarios):
            means.append({"engine": engine} | {k: statistics.geometric_mean([r[k] for r in own])
                                               for k in ("live_cost", "simulated_cost")})
    return means


def print_order(name: str, rows: list[dict]):
    same, told = agreement(rows)
    rho = correlation([r["live_cost"] for r in rows], [r["simulated_cost"] for r in rows])
    print(f"{name}: {same} of {told} pairs in the same order; "
          f"rank correlation {'-' if rho is None else format(rho, '.2f')}\n")


def print_table(rows: list[dict], scenarios: list[str]):
    for scenario in scenarios:
        print(f"{scenario:16} {'engine':24} {'J live':>7} {'J simulated':>11} {'time live':>9} {'simulated':>9} "
              f"{'pause':>8} {'work lost':>9} {'wrong':>5}  result")
        own = sorted((r for r in rows if r["scenario"] == scenario), key=lambda r: r["live_cost"])
        for r in own:
            results = sorted(set(r["live"]))
            text = "/".join(results) + ("" if results == r["simulated"] else f" (simulated {'/'.join(r['simulated'])})")
            wrong = "-" if r["wrong_pages"] is None else r["wrong_pages"]
            print(f"{'':16} {r['engine']:24} {r['live_cost']:7.1f} {r['simulated_cost']:11.1f} "
                  f"{r['live_ms'] / 1000:7.1f} s {r['simulated_ms'] / 1000:7.1f} s {r['live_pause_ms']:5.0f} ms "
                  f"{r['work_lost_s']:7.2f} s {wrong:>5}  {text}{' (disturbed)' if r['disturbed'] else ''}")
        print_order(scenario, own)
    means = sorted(overall(rows, scenarios), key=lambda r: r["live_cost"])
    if len(scenarios) > 1 and means:
        print(f"{'geometric means':16} {'engine':24} {'J live':>7} {'J simulated':>11}")
        for r in means:
            print(f"{'':16} {r['engine']:24} {r['live_cost']:7.1f} {r['simulated_cost']:11.1f}")
        print_order("geometric means", means)


def main(options) -> int:
    known = all_engines()
    engines = known if options.engines == "all" else options.engines.split(",")
    if unknown := [e for e in engines if e not in known]:
        print(f"unknown engines {', '.join(unknown)}; there are all, {', '.join(known)}", file=sys.stderr)
        return 2
    files = [Path(f) for f in options.scenario] if options.scenario else sorted(SCENARIOS.glob("*.scenario"))
    twins = [Twin(f if f.exists() else SCENARIOS / f"{f}.scenario") for f in files]
    rows, every = [], []
    for twin in twins:
        runs: dict[str, list[RealRun]] = {engine: [] for engine in engines}
        for _ in range(options.runs):
            for engine in engines:  # in turn, so that a slow minute of the machine hits all
                r = run(engine, twin)
                runs[engine].append(r)
                every.append({"scenario": twin.name, "engine": engine, "text": r.text, "live": r.account,
                              "simulated": r.simulated, "wrong": r.wrong, "work_lost_s": r.work_lost_s})
                print(f"{twin.name} {engine}: {r.account['result']}, J {r.account['cost']:.1f} live, "
                      f"{r.simulated['cost']:.1f} simulated{''.join(f'; {e}' for e in r.errors)}", file=sys.stderr)
        rows += [row_of(twin.name, engine, own) for engine, own in runs.items()]
    if options.json:
        report = {"rows": rows, "runs": every}
        Path("/dev/stdout" if options.json == "-" else options.json).write_text(json.dumps(report, indent=1) + "\n",
                                                                               encoding="utf-8")
    if options.json != "-":
        print_table(rows, [t.name for t in twins])
    return 1 if any(r["wrong_pages"] for r in rows) else 0
