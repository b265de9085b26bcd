# SPDX-License-Identifier: LGPL-2.1-or-later
"""Engines against the best plan there is, on described migrations: what each costs, and which limits it breaks.

The cost of a run is J = seconds + 10 x seconds of guest work lost, plus the scenario's time limit when the guest did
not arrive; the oracle's is that of the cheapest plan within the profile's limits, found with the whole scenario known.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import paths
from .policy_chart import draw

OURS, ORACLE = "migrationd", "oracle"
LIBRARY = paths.SOURCE / "tests" / "scenarios"
WORSE = 1.05  # than the best peer: worth a flag
TARGET_MEAN, TARGET_WORST = 1.15, 1.6
TARGET_P99_US, TARGET_HOUR_MS = 20, 50


@dataclass(frozen=True)
class Run:
    """One line of bench-policy, as far as tables need it."""

    scenario: str
    engine: str
    result: str
    total_s: float
    pause_s: float
    lost_s: float
    cost: float
    broke: tuple
    limit_s: float
    judged: float  # the cost, and the time limit on top when a limit of the profile was broken
    throttle_pct: int
    plan: str

    @property
    def arrived(self) -> bool:
        return self.result in ("completed", "postcopy", "paused")


def read_run(line: dict, seeds: bool) -> Run:
    name = f"{line['name']} #{line['seed']}" if seeds else line["name"]
    limit, broke = line["time_limit_s"], tuple(line["broke"])
    return Run(name, line["engine"], line["result"], line["total_ms"] / 1000, line["downtime_ms"] / 1000,
               line["guest_lost_seconds"], line["cost"], broke, limit, line["cost"] + (limit if broke else 0),
               line["max_throttle"], line.get("plan", ""))


def run_program(arguments: list[str]) -> list[dict]:
    command = [paths.program("tests/bench/bench-policy"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr.strip())
    return [json.loads(line) for line in done.stdout.splitlines()]


def find_scenarios(names: list[str]) -> list[str]:
    """Paths, or names from the library; all of it when none is given."""
    if not names:
        return sorted(str(p) for p in LIBRARY.glob("*.scenario"))
    return [n if Path(n).is_file() else str(LIBRARY / f"{n}.scenario") for n in names]


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(math.log(v) for v in values) / len(values)) if values else math.nan


class Results:
    """Runs by scenario and engine."""

    def __init__(self, runs: list[Run]):
        self.by = {(r.scenario, r.engine): r for r in runs}
        self.scenarios = list(dict.fromkeys(r.scenario for r in runs))
        self.engines = [e for e in dict.fromkeys(r.engine for r in runs) if e != ORACLE]

    def ratio(self, scenario: str, engine: str) -> float:
        return self.by[scenario, engine].cost / self.by[scenario, ORACLE].cost

    def best_peer(self, scenario: str, within: bool) -> Run | None:
        """The cheapest of the others; `within`: of those that kept the profile's limits."""
        peers = [self.by[scenario, e] for e in self.engines if e != OURS]
        peers = [p for p in peers if not (within and p.broke)]
        return min(peers, key=lambda p: p.cost, default=None)

    def summary(self, engine: str) -> dict:
        ratios = {s: self.ratio(s, engine) for s in self.scenarios}
        runs = [self.by[s, engine] for s in self.scenarios]
        judged = [self.by[s, engine].judged / self.by[s, ORACLE].cost for s in self.scenarios]
        worst = max(ratios, key=ratios.get)
        return {"engine": engine, "mean_ratio": geometric_mean(list(ratios.values())), "worst_ratio": ratios[worst],
                "worst_scenario": worst, "mean_judged": geometric_mean(judged),
                "arrived": sum(r.arrived for r in runs), "over": sum(bool(r.broke) for r in runs), "runs": len(runs),
                "time_s": geometric_mean([r.total_s if r.arrived else r.limit_s for r in runs]),
                "lost_s": geometric_mean([max(r.lost_s, 0.01) for r in runs]),
                "broke": {what: sum(what in r.broke for r in runs) for what in
                          ("pause", "deadline", "throttle", "allow")}}


def describe(run: Run) -> str:
    broke = f"  breaks {', '.join(run.broke)}" if run.broke else ""
    return (f"{run.result:9} {run.total_s:8.1f} s {run.pause_s * 1000:7.0f} ms {run.lost_s:8.2f} s "
            f"{run.throttle_pct:3d} %{broke}")


def print_full(results: Results):
    for scenario in results.scenarios:
        print(f"\n{scenario}\n  {'engine':26} {'J':>9} {'J/oracle':>8}  {'result':9} {'time':>10} {'pause':>10} "
              f"{'lost':>10} {'thr':>5}")
        for engine in [ORACLE, *results.engines]:
            run = results.by[scenario, engine]
            print(f"  {engine:26} {run.cost:9.1f} {results.ratio(scenario, engine):8.2f}  {describe(run)}")
        print(f"  the oracle's plan: {results.by[scenario, ORACLE].plan}")


def flags(results: Results, scenario: str) -> list[str]:
    ours, notes = results.by[scenario, OURS], []
    within, best = results.best_peer(scenario, True), results.best_peer(scenario, False)
    if results.ratio(scenario, OURS) > TARGET_WORST:
        notes.append(f"over {TARGET_WORST}")
    if within is not None and ours.cost > WORSE * within.cost:
        notes.append(f"worse than {within.engine}")
    elif best is not None and ours.cost > WORSE * best.cost:
        notes.append(f"({best.engine} is cheaper, but breaks {', '.join(best.broke)})")
    if ours.broke:
        notes.append(f"BREAKS {', '.join(ours.broke)}")
    beaten = [e for e in results.engines if not results.by[scenario, e].broke
              and results.ratio(scenario, e) < 0.999]
    if beaten:
        notes.append(f"ORACLE BEATEN by {', '.join(beaten)}")
    return notes


def print_scenarios(results: Results):
    width = max(len(s) for s in results.scenarios)
    print(f"{'scenario':{width}} {'oracle':>8} {'ours':>8} {'ratio':>6} {'result':9} {'time':>9} {'pause':>7} "
          f"{'lost':>8}  {'best peer within limits':26} {'J':>8}")
    for scenario in results.scenarios:
        ours, best = results.by[scenario, OURS], results.best_peer(scenario, True)
        mark = f"  <- {'; '.join(notes)}" if (notes := flags(results, scenario)) else ""
        peer = f"{best.engine:26} {best.cost:8.1f}" if best is not None else f"{'none':26} {'':8}"
        print(f"{scenario:{width}} {results.by[scenario, ORACLE].cost:8.1f} {ours.cost:8.1f} "
              f"{results.ratio(scenario, OURS):6.2f} {ours.result:9} {ours.total_s:7.1f} s "
              f"{ours.pause_s * 1000:4.0f} ms {ours.lost_s:6.2f} s  {peer}{mark}")


def print_summary(results: Results, summaries: list[dict]):
    ours = next((s for s in summaries if s["engine"] == OURS), None)
    print(f"\n{'':26} {'geometric mean of J/oracle':>26} {'':14} {'over a limit, runs':>35}\n"
          f"{'engine':26} {'plain':>12} {'over = failed':>13} {'worst':>8} {'arrived':>7} {'pause':>8} "
          f"{'deadline':>8} {'throttle':>8} {'allow':>5}  worst scenario")
    for row in sorted(summaries, key=lambda s: s["mean_judged"]):
        broke = row["broke"]
        print(f"{row['engine']:26} {row['mean_ratio']:12.3f} {row['mean_judged']:13.3f} "
              f"{row['worst_ratio']:8.2f} {row['arrived']:3d}/{row['runs']:<3d} {broke['pause']:8d} "
              f"{broke['deadline']:8d} {broke['throttle']:8d} {broke['allow']:5d}  {row['worst_scenario']}")
    if ours is None or len(summaries) < 2:
        return
    peer = min((s for s in summaries if s["engine"] != OURS), key=lambda s: s["mean_judged"])
    worse = [s for s in results.scenarios if any(n.startswith("worse than") for n in flags(results, s))]
    print(f"\nmean {ours['mean_ratio']:.3f} (target {TARGET_MEAN}), worst {ours['worst_ratio']:.2f} "
          f"(target {TARGET_WORST}); the best peer's mean is "
          f"{peer['mean_judged'] / ours['mean_judged']:.2f} x ours, where a run over a limit of the profile counts as "
          f"failed ({peer['engine']}; target 2); more than 5 % worse than the best peer within limits: {len(worse)} of "
          f"{len(results.scenarios)}")


def speed(arguments: list[str]) -> int:
    row = run_program(["--speed", *arguments])[0]
    print(f"decide(), processor time of {row['looks']}: p50 {row['p50_us']:.1f} us, "
          f"p99 {row['p99_us']:.1f} us (target {TARGET_P99_US}), worst {row['worst_us']:.1f} us; "
          f"folding a sample p99 {row['fold_p99_us']:.1f} us")
    print(f"a simulated hour: {row['hour_ms']:.1f} ms (target {TARGET_HOUR_MS})")
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench policy", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="names from tests/scenarios, or files (all of the library)")
    parser.add_argument("--profile", default="default", help="name or file (default)")
    parser.add_argument("--engine", metavar="NAME,...", help="only these; migrationd is always there")
    parser.add_argument("--noise", type=float, metavar="X", help="instead of each scenario's own")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each scenario that has noise")
    parser.add_argument("--full", action="store_true", help="every engine on every scenario")
    parser.add_argument("--json", metavar="FILE", help="write every run and the summary there; - for standard output")
    parser.add_argument("--chart", metavar="FILE", help="draw time against guest work lost there, as SVG")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="at the same time")
    parser.add_argument("--speed", action="store_true", help="how long the policy thinks, instead")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    files = find_scenarios(options.scenario)
    profile = paths.SOURCE / "conf" / "profiles.d" / f"{options.profile}.conf"
    common = ["--profile", str(profile) if profile.is_file() else options.profile]
    if options.speed:
        return speed([*common, *files])
    common += ["--seeds", str(options.seeds)]
    if options.noise is not None:
        common += ["--noise", str(options.noise)]
    if options.engine:
        common += ["--engine", f"{OURS},{options.engine}"]
    with ThreadPoolExecutor(options.jobs) as pool:
        lines = [line for part in pool.map(lambda f: run_program([*common, f]), files) for line in part]
    results = Results([read_run(line, options.seeds > 1) for line in lines])
    summaries = [results.summary(engine) for engine in [ORACLE, *results.engines]]
    if options.chart:
        Path(options.chart).write_text(draw(summaries, options.profile), encoding="utf-8")
    report = {"profile": options.profile, "summary": summaries, "runs": lines}
    if options.json == "-":
        json.dump(report, sys.stdout, indent=1)
        print()
        return 0
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1), encoding="utf-8")
    if options.full:
        print_full(results)
        print()
    print_scenarios(results)
    print_summary(results, [s for s in summaries if s["engine"] != ORACLE])
    return 0
