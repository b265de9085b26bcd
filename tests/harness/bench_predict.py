# SPDX-License-Identifier: LGPL-2.1-or-later
"""Predictions against what came: random guests on random links, each predicted, then migrated under migrationd. What
the daemon learns stays from one migration to the next, as on a host."""

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from .bus import Bus, CtlError
from .pair import MIB, Pair

NAME = "vm"
LIMIT_S = 120
TARGETS = {"total": 12, "pause": 25}  # percent, at the 90th percentile
LONG_US = 50_000                      # pauses from here on are shown by themselves, too
COVER = 90                            # percent of the actual figures inside their interval


@dataclass(frozen=True)
class Draw:
    """One guest on one link. `limited`: the link is as fast as it goes, and max-bandwidth limits the passes; else the
    link itself is that slow, pause or not, and the caller of Predict says so."""
    number: int
    ws_mib: int
    touch_mib: int
    rate: int        # MB/s
    pattern: str
    link_mib: int    # MiB/s
    limited: bool

    @property
    def append(self) -> str:
        return f"ws={self.ws_mib} touch={self.touch_mib} rate={self.rate} pattern={self.pattern}"


def draw(seed: int, number: int) -> Draw:
    """The same for the same seed and number, whatever ran before."""
    dice = random.Random(f"{seed}/{number}")
    link = dice.randint(25, 80)
    # A fifth dirties more than the link carries.
    share = dice.uniform(1.1, 2) if dice.random() < 0.2 else dice.uniform(0.05, 0.8)
    return Draw(number, dice.randint(8, 64), dice.randint(16, 128), max(1, round(link * share)),
                dice.choice(("seq", "random")), link, dice.random() < 0.4)


def run_once(what: Draw, state: str) -> dict:
    link = None if what.limited else [(0, what.link_mib * MIB)]
    with Bus() as bus, Pair(what.append, NAME, qmp_dir=bus.qmp_dir, link=link,
                            bandwidth_mib=what.link_mib if what.limited else 0) as pair:
        # Limited or not, these are two pairs of hosts: what was learned of one says nothing of the other.
        bus.state_dir = f"{state}/{'limit' if what.limited else 'link'}"
        Path(bus.state_dir).mkdir(exist_ok=True)
        bus.start_daemon()
        bus.wait_domain(NAME)
        known = () if what.limited else (f"--bandwidth={what.link_mib}MiB/s",)
        prediction = bus.json("predict", NAME, pair.uri, *known)
        result: dict = {"draw": asdict(what), "prediction": prediction, "load": os.getloadavg()[0]}
        begin = pair.source.console.last
        try:
            result["report"] = bus.json("migrate", NAME, pair.uri, "--wait", timeout=LIMIT_S)
        except CtlError as e:
            result["problem"] = str(e)
        else:
            end = pair.source.console.last
            wanted = end.nominal - begin.nominal  # kB
            result["ran_pct"] = round(100 * (end.done - begin.done) * 4.096 / wanted) if wanted else None
            result["wrong"] = str(pair.verify_destination())
        return result


# ---- figures


@dataclass
class Figure:
    """One number of one migration, as predicted and as it came."""
    low: float
    mid: float
    high: float
    actual: float

    @property
    def error_pct(self) -> float:
        return abs(self.mid - self.actual) / self.actual * 100 if self.actual else 0.0

    @property
    def covered(self) -> bool:
        return self.low <= self.actual <= self.high


def figures(runs: list[dict], key: str) -> list[Figure]:
    """Of the runs that arrived and were predicted to."""
    return [Figure(*run["prediction"][key], run["report"][key]) for run in runs
            if run.get("report", {}).get("Result") == "succeeded" and run["prediction"]["known"]]


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, round(part * (len(values) - 1)))] if values else 0.0


def summary(runs: list[dict]) -> dict:
    rows = {}
    # A pause of a few milliseconds is what the schedulers make of it: the same migration twice differs by as much.
    for name, key, least in (("total", "total_us", 0), ("pause", "downtime_us", 0), ("longer", "downtime_us", LONG_US),
                             ("sent", "transferred_bytes", 0)):
        found = [f for f in figures(runs, key) if f.actual >= least]
        errors = [f.error_pct for f in found]
        rows[name] = {"n": len(found), "p50_error_pct": round(statistics.median(errors), 1) if errors else None,
                      "p90_error_pct": round(percentile(errors, 0.9), 1) if errors else None,
                      "covered_pct": round(100 * sum(f.covered for f in found) / len(found)) if found else None,
                      "target_p90_pct": TARGETS.get(name)}
    checked = [r["wrong"] for r in runs if "wrong" in r]
    return {"runs": len(runs), "arrived": sum("wrong" in r for r in runs), "figures": rows,
            "wrong_pages": sum(int(w) for w in checked if w.isdigit()), "unchecked": checked.count("unchecked")}


def ms(us: float) -> str:
    return "never" if us > 1e15 else f"{us / 1000:.0f}"


def print_runs(runs: list[dict]):
    print(f"{'guest':38} {'link':>8} {'total':>7} {'predicted':>17} {'pause':>6} {'predicted':>15} {'wrong':>5}")
    for run in runs:
        what = Draw(**run["draw"])
        kind = "limit" if what.limited else "link"
        head = f"{what.append:38} {kind} {what.link_mib:>2}"
        if "report" not in run or not run["prediction"]["known"]:
            print(f"{head}  {run.get('problem') or 'unknown: ' + run['prediction'].get('missing', '')}")
            continue
        report, prediction = run["report"], run["prediction"]
        cells = []
        for key in ("total_us", "downtime_us"):
            low, mid, high = (ms(v) for v in prediction[key])
            cells += [ms(report[key]), f"{mid} ({low}-{high})"]
        print(f"{head} {cells[0]:>7} {cells[1]:>17} {cells[2]:>6} {cells[3]:>15} {run['wrong']:>5}")


def print_summary(result: dict):
    print(f"\n{result['arrived']} of {result['runs']} arrived, wrong pages {result['wrong_pages']}")
    print(f"{'':6} {'n':>3} {'p50 error':>9} {'p90 error':>9} {'target':>7} {'inside the interval':>20}")
    for name, row in result["figures"].items():
        target = f"{row['target_p90_pct']} %" if row["target_p90_pct"] else "-"
        print(f"{name:6} {row['n']:>3} {row['p50_error_pct']:>7} % {row['p90_error_pct']:>7} % {target:>7} "
              f"{row['covered_pct']:>18} %")


# ---- the program


def earlier(path: str | None, seed: int) -> list[dict]:
    """The runs of an earlier part of the same draws."""
    if not path or not os.path.exists(path):
        return []
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    return document["runs"] if document["seed"] == seed else []


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench predict", description=__doc__)
    parser.add_argument("-n", "--runs", type=int, default=30, help="migrations (30)")
    parser.add_argument("--seed", type=int, default=None, help="of the draws (one is made up and printed)")
    parser.add_argument("--json", metavar="FILE",
                        help="write every run there; if it holds runs of the same seed, go on with the next")
    parser.add_argument("--state", metavar="DIR", help="what the daemon learns is kept there, for such a next part")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1000000)
    print(f"seed {seed}", file=sys.stderr)

    state = options.state or tempfile.mkdtemp(prefix="migd-predict-")
    Path(state).mkdir(parents=True, exist_ok=True)
    runs = earlier(options.json, seed)
    try:
        for _ in range(options.runs):
            run = run_once(draw(seed, len(runs)), state)
            runs.append(run)
            print(f"{len(runs)}: {Draw(**run['draw']).append}: {run.get('problem') or run['report']['Result']}",
                  file=sys.stderr)
            if options.json:
                report = {"seed": seed, "summary": summary(runs), "runs": runs}
                Path(options.json).write_text(json.dumps(report, indent=1), encoding="utf-8")
    finally:
        if not options.state:
            shutil.rmtree(state, ignore_errors=True)
    print_runs(runs)
    print_summary(summary(runs))
    return 0
