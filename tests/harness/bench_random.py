# SPDX-License-Identifier: LGPL-2.1-or-later
"""The policy against its peers on migrations that nobody chose: random guests, links and costs, none of them changing
on the way, so that no engine is lucky. Each is compared with the cheapest peer that kept the profile's limits there."""

import argparse
import collections
import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .bench_policy import OURS, WORSE, Run, geometric_mean, read_run, run_program

SHOWN = 12  # of the worst
SCENARIO = """[scenario]
name={name}
seed={seed}
noise={noise}

[guest]
memory={memory_mib}MiB
zero={zero}
dirty-rate={dirty_mb}MB/s
working-set={set_mb}MB
throttle-response={response}
postcopy={postcopy}

[link]
bandwidth={link_mb}MB/s

[costs]
fixed-downtime={fixed_ms}ms
sync={sync_ms}ms/GiB
hidden={hidden_mb}MB
"""


def log_uniform(dice: random.Random, least: float, most: float) -> float:
    return least * (most / least) ** dice.random()


def describe(dice: random.Random, name: str) -> str:
    """1 to 512 GiB, links of 1 to 25 Gbit/s, a tenth to six times of which the guest writes."""
    memory_mib = log_uniform(dice, 1 << 10, 1 << 19)
    link_mb = dice.choice([100, 300, 1100, 1100, 1100, 2900]) * dice.uniform(0.8, 1.1)
    return SCENARIO.format(
        name=name, seed=dice.randrange(1, 1 << 30), noise=dice.choice([0, 0, 0.1, 0.2]), memory_mib=int(memory_mib),
        zero=dice.choice([0, 0, 0.3, 0.7]), dirty_mb=int(link_mb * log_uniform(dice, 0.1, 6)),
        set_mb=int(memory_mib * log_uniform(dice, 0.003, 1)) + 1,
        response=dice.choice([1, 1, 1, 1, 0.3, 0.5, 0.7, 1.3]), postcopy=dice.choice(["no", "no", "yes"]),
        link_mb=int(link_mb), fixed_ms=dice.choice([0, 0, 20, 80, 150]), sync_ms=dice.choice([0, 0, 0, 0.5, 2]),
        hidden_mb=dice.choice([0, 0, 0, int(link_mb / 10)]))


def play(folder: str, number: int, seed: int, jobs: int) -> list[Run]:
    dice, files = random.Random(seed), []
    for i in range(number):
        files.append(Path(folder) / f"random-{i}.scenario")
        files[-1].write_text(describe(dice, f"random-{i}"), encoding="utf-8")
    with ThreadPoolExecutor(jobs) as pool:
        parts = pool.map(lambda f: run_program(["--no-oracle", str(f)]), files)
        return [read_run(line, False) for part in parts for line in part]


def against_best(runs: list[Run]) -> list[tuple[float, Run, Run]]:
    """Ours over the cheapest peer within the limits, where there is one; the worst first."""
    ours = {run.scenario: run for run in runs if run.engine == OURS}
    best: dict[str, Run] = {}
    for run in runs:
        if run.engine != OURS and not run.broke and (run.scenario not in best or run.cost < best[run.scenario].cost):
            best[run.scenario] = run
    pairs = [(ours[name].cost / peer.cost, ours[name], peer) for name, peer in best.items()]
    return sorted(pairs, key=lambda pair: -pair[0])


def report(runs: list[Run], number: int):
    pairs, by = against_best(runs), collections.defaultdict(list)
    for run in runs:
        by[run.engine].append(run)
    print(f"{'engine':26} {'J, over = failed':>17} {'arrived':>8} {'over a limit':>12}   (geometric mean)")
    for engine, mine in sorted(by.items(), key=lambda item: geometric_mean([r.judged for r in item[1]])):
        print(f"{engine:26} {geometric_mean([r.judged for r in mine]):17.1f} {sum(r.arrived for r in mine):8d} "
              f"{sum(bool(r.broke) for r in mine):12d}")
    print("\nthe worst against the best peer within limits")
    for ratio, mine, peer in pairs[:SHOWN]:
        print(f"{mine.scenario:12} {ratio:7.2f}  {mine.result:9} {mine.cost:9.1f}  {peer.engine:26} {peer.result:9} "
              f"{peer.cost:9.1f}")
    worse = sum(ratio > WORSE for ratio, _, _ in pairs)
    print(f"\n{number} scenarios: J over that of each one's best peer within limits: mean "
          f"{geometric_mean([ratio for ratio, _, _ in pairs]):.3f}; more than 5 % worse: {worse}, more than twice: "
          f"{sum(ratio > 2 for ratio, _, _ in pairs)}; limits broken by us: {sum(bool(r.broke) for r in by[OURS])}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench random", description=__doc__)
    parser.add_argument("-n", type=int, default=300, dest="number", help="scenarios (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="%(default)s")
    parser.add_argument("--keep", metavar="DIR", help="leave them there")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="at the same time (%(default)s)")
    options = parser.parse_args(arguments)
    if options.keep:
        Path(options.keep).mkdir(parents=True, exist_ok=True)
        report(play(options.keep, options.number, options.seed, options.jobs), options.number)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report(play(folder, options.number, options.seed, options.jobs), options.number)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
