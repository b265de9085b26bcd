# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pair with migrationd beside it, and what tests ask of both."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .bus import Bus
from .case import check, same
from .pair import Pair

NAME = "vm"
BANDWIDTH_MIB = 40
CONVERGING = "ws=64 rate=20 touch=64"
PLATEAU = "ws=64 rate=90"


@contextmanager
def stage(append: str, *arguments: str, tapped: bool = False, ring: int = 0) -> Iterator[tuple[Bus, Pair]]:
    """migrationd, started with `arguments`, knows the source of the pair as NAME."""
    with Bus() as bus, Pair(append, NAME, qmp_dir=bus.qmp_dir, bandwidth_mib=BANDWIDTH_MIB, tapped=tapped,
                            ring=ring) as pair:
        bus.start_daemon(*arguments)
        bus.wait_domain(NAME)
        try:
            yield bus, pair
        except Exception:
            print("".join(f"# migrationd: {line}\n" for line in bus.log_text().splitlines()[-40:]), end="")
            raise


def knobs(pair: Pair) -> dict:
    """All that a migration's behaviour depends on and that migrationd could leave behind. Events are no knob."""
    capabilities = {f"cap:{k}": v for k, v in pair.capabilities().items() if k != "events"}
    return pair.parameters() | capabilities


def wait_restored(pair: Pair, before: dict, timeout: float = 5):
    """Waits until every knob is as it was."""
    end = time.monotonic() + timeout
    while (now := knobs(pair)) != before and time.monotonic() < end:
        time.sleep(0.05)
    changed = {k: (before[k], now[k]) for k in before if now[k] != before[k]}
    same(changed, {}, "knobs left behind (before, after)")


def check_arrival(pair: Pair, limit_ms: int):
    """The guest runs at the destination, paused briefly enough, and no page is wrong, where that can be told."""
    info = pair.wait_end(10)
    same(info["status"], "completed", "QEMU's status")
    verdict = pair.verify_destination()
    print(f"# {pair.accel}: {info['total-time']} ms, pause {info['downtime']} ms, silent {pair.gap_ms():.0f} ms, "
          f"sent {info['ram']['transferred'] / pair.touched:.2f} x RAM touched, wrong pages {verdict}")
    check(info["downtime"] <= limit_ms, f"pause of {info['downtime']} ms, {limit_ms} allowed")
    if verdict.wrong is None:
        print(f"# memory unchecked: {verdict.reason}")
    else:
        same(verdict.wrong, 0, "wrong pages")


def check_stays(pair: Pair):
    """The guest runs on at the source, undamaged."""
    first = pair.source.console.last
    last = pair.source.console.wait(lambda c: c.last if c.last.up >= first.up + 500 else None, 30, "report")
    check(last.done > first.done, "the guest stands still")
    same((last.wrong, last.lost), (0, 0), "wrong pages, lost sweeps at the source")


def trace(bus: Bus, migration: str, kind: str) -> list[dict]:
    """The lines of that kind; none before the knobs have been read, with which a trace begins."""
    path = Path(bus.trace(migration))
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["kind"] == kind]


def wait_pass(bus: Bus, migration: str, number: int, timeout: float = 30):
    """Waits until migrationd has seen that many passes."""
    end = time.monotonic() + timeout
    while (status := bus.status(migration))["Pass"] < number:
        check(status["State"] != "finished", f"finished ({status['Result']}) before pass {number}")
        check(time.monotonic() < end, f"pass {number} not seen in {timeout:.0f} s")
        time.sleep(0.05)
