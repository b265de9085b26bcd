# SPDX-License-Identifier: LGPL-2.1-or-later
"""The simulation against real QEMUs: the same guests and links, described once, take as long, as many passes and as
long a pause in both.

No run is like another on either side: the guest writes at random (NOISE is what that does to a pass), and whether what
is left just fits is decided by a few pages. So medians are compared. Ten per cent, but never less than one pass, the
least there is to count, nor than half of what the real runs' own counts of passes span (near the limit a pass lasts a
twentieth of a second, and a handful more or less is chance); nor than 15 ms of pause, which on two cores the threads
that stop a guest may have to wait for their turn."""

import statistics
from pathlib import Path

from harness import paths
from harness.case import check, needs_kvm, run, same
from harness.real_run import STOP_MS, RealRun, simulate
from harness.real_run import run as run_real
from harness.twin import Twin

RUNS = 3
SPOILT = 6       # runs in which the machine had something else to do may be repeated so often
NOISE, SEEDS = 0.04, 15
PART = 0.1
FLOORS = {"total_ms": 0, "passes": 1, "downtime_ms": 15}
SCENARIOS = Path(paths.SOURCE, "tests/live/scenarios")


def runs_of(engine: str, twin: Twin) -> list[RealRun]:
    runs: list[RealRun] = []
    for _ in range(RUNS + SPOILT):
        r = run_real(engine, twin)
        if r.disturbed:
            print(f"# run dropped: {r.disturbed}")
            continue
        runs.append(r)
        if len(runs) == RUNS:
            return runs
    raise RuntimeError("the machine is too busy: guest and link do not get their time")


def simulate_often(twin: Twin, engine: str, rate_factor: float) -> list[dict]:
    return [simulate(twin.text(rate_factor, fixed_downtime=f"{STOP_MS}ms", noise=str(NOISE), seed=str(seed)), engine)
            for seed in range(1, SEEDS + 1)]


def miss(key: str, real: list[float], draws: list[list[float]]) -> float:
    """By how much the simulation is off in one key; 0 when within what is allowed."""
    own = (max(real) - min(real)) / 2 if key == "passes" else 0
    allowed = max(PART * statistics.median(real), FLOORS[key], own)
    off = statistics.median([statistics.median(drawn) - r for r, drawn in zip(real, draws)])
    return off if abs(off) > allowed else 0


def compare(name: str, engine: str):
    needs_kvm("QEMU 7.2 forgets dirty pages under TCG, so that nothing converges as it should")
    twin = Twin(SCENARIOS / f"{name}.scenario")
    runs = runs_of(engine, twin)
    draws = [simulate_often(twin, engine, r.rate_factor) for r in runs]
    same((sorted({r.account["result"] for r in runs}), [e for r in runs for e in r.errors]),
         (sorted({s["result"] for drawn in draws for s in drawn}), []), "results, errors")
    off = []
    for key in FLOORS:
        real = [r.account[key] for r in runs]
        simulated = [sorted(s[key] for s in drawn) for drawn in draws]
        text = ", ".join(f"{statistics.median(s):.0f} ({s[0]} to {s[-1]}) for {r}" for s, r in zip(simulated, real))
        print(f"# {name} {engine} {key}: {text}")
        if missed := miss(key, real, simulated):
            off.append(f"{key} off by {missed:+.0f}: simulated {text} really")
    check(not off, "; ".join(off))


def a_guest_that_converges():
    compare("converging", "qemu")


def one_held_back_by_the_limit_of_qemu():
    compare("capped", "qemu")


def one_that_quiets_down():
    compare("quiets-down", "qemu")


# Not here: guests under a throttle. The slices of 10 ms that QEMU takes from a vCPU depend on what else the cores do,
# and real runs of one and the same guest are further apart than this test allows: scripts/bench live shows them.
run(a_guest_that_converges, one_held_back_by_the_limit_of_qemu, one_that_quiets_down)
