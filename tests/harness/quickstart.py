# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job in a minute: a guest that plain QEMU cannot migrate arrives with migrationd, and one sees why."""

import sys
from contextlib import ExitStack

from .bus import Bus, CtlError
from .engines import Outcome, run_migrationd, run_qemu
from .pair import MIB, Pair
from .process import clean_up_on_signals
from .qmp import QmpError, QmpLost

NAME = "demo"
WORKING_SET_MIB = 64
RATE_MB = 90
BANDWIDTH_MIB = 40
PLAIN_S = 15
MIGRATIOND_S = 120


def say(text: str = ""):
    print(text, flush=True)


def show_pass(info: dict):
    ram = info["ram"]
    ended = ram["dirty-sync-count"] - 1
    if ended:
        say(f"   pass {ended:2}: {ram['remaining'] / MIB:5.1f} MiB left, "
            f"{ram['transferred'] / MIB:5.0f} MiB sent, {info['total-time'] / 1000:5.1f} s")


def new_pair(stack: ExitStack, bus: Bus) -> Pair:
    return stack.enter_context(Pair(f"ws={WORKING_SET_MIB} rate={RATE_MB}", NAME, qmp_dir=bus.qmp_dir,
                                    bandwidth_mib=BANDWIDTH_MIB))


def try_plain(pair: Pair) -> str:
    """The word for the last line."""
    say(f"1. Plain QEMU, for at most {PLAIN_S} s")
    outcome = run_qemu(pair, PLAIN_S, on_pass=show_pass)
    if outcome.finished:
        say(f"   arrived after {outcome.total_ms:.0f} ms, pause {outcome.downtime_ms:.0f} ms")
        return f"{outcome.total_ms:.0f}ms"
    say(f"   not converged: {outcome.sent_bytes / MIB:.0f} MiB sent in {outcome.total_ms / 1000:.0f} s, and as much "
        "left as ever. Cancelled.")
    return "not-converged"


def try_migrationd(pair: Pair, bus: Bus) -> Outcome:
    say()
    say(f"2. migrationd: migrationctl migrate {NAME} {pair.uri} --wait")
    bus.start_daemon()
    outcome = run_migrationd(pair, MIGRATIOND_S, bus)
    if not outcome.migration:
        raise RuntimeError(f"{outcome.note}\n{bus.log_text()}")
    picture = bus.text("watch", outcome.migration, "--once").rstrip()
    say(picture.rpartition("\n\n")[0])  # without its list of decisions: explain says more about them
    say()
    say(f"$ migrationctl explain {outcome.migration}")
    say(bus.text("explain", outcome.migration).rstrip())
    return outcome


def judge(outcome: Outcome, accel: str, plain: str, limit_ms: int) -> int:
    say()
    memory = "memory unchecked" if outcome.wrong == "unchecked" else f"{outcome.wrong} pages wrong"
    say(f"3. The guest at the destination: silent for {outcome.gap_ms:.0f} ms, running; {memory}"
        + (f" ({outcome.note})" if outcome.note else ""))
    say(f"quickstart: accel={accel} plain={plain} migrationd={outcome.total_ms:.0f}ms "
        f"downtime={outcome.downtime_ms:.0f}ms limit={limit_ms}ms wrong-pages={outcome.wrong}")
    right = outcome.wrong == "0" or (outcome.wrong == "unchecked" and accel == "tcg")
    return 0 if outcome.finished and outcome.downtime_ms <= limit_ms and right else 1


def run() -> int:
    with ExitStack() as stack:
        bus = stack.enter_context(Bus())
        pair = new_pair(stack, bus)
        limit_ms = bus.max_downtime_ms()
        say(f"Two QEMUs ({pair.accel}), a guest that keeps rewriting {WORKING_SET_MIB} MiB at {RATE_MB} MB/s, a link "
            f"of {BANDWIDTH_MIB} MiB/s, and at most {limit_ms} ms of pause.")
        say()
        plain = try_plain(pair)
        if plain == "not-converged":
            pair.start_destination()
        else:
            pair.close()
            pair = new_pair(stack, bus)
        return judge(try_migrationd(pair, bus), pair.accel, plain, limit_ms)


def main() -> int:
    clean_up_on_signals()
    try:
        return run()
    except KeyboardInterrupt:
        print("quickstart: interrupted", file=sys.stderr)
        return 130
    except (CtlError, QmpError, QmpLost, RuntimeError, TimeoutError, OSError) as e:
        print(f"quickstart: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
