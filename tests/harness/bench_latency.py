# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the byte that announces a pass (MIGRATION_PASS) to the command that answers it, both seen on the socket by a
scripted peer. The peer is a plateau guest that never converges by itself, in one short migration after the other, so
that the daemon has to act again and again."""

import argparse
import json
import sys
import time
from pathlib import Path

from .bus import Bus
from .fake_qemu import PARAMETERS, FakeHost, FakeQemu, Migration

MAX_PASSES = 6  # of one migration, after which it is reported as completed
PAUSE_S = 0.02  # between two migrations
# One pass takes 150 ms: with a pause of 300 ms allowed, as by default, the guest would be left alone.
PROFILE = "[Profile]\nMaxDowntime=20ms\n"
DOWNTIME_LIMIT_MS = 20
QUERIES = ("query-", "qmp_capabilities")


class Stopwatch:
    """Times the first query-migrate and the first command that changes something after each pass."""

    def __init__(self):
        self.query_us: list[float] = []
        self.action_us: list[float] = []
        self.actions: dict[str, int] = {}
        self.stop()

    def start(self, now: float):
        self._start, self._queried, self._acted = now, False, False

    def stop(self):
        self._start, self._queried, self._acted = 0.0, True, True

    def seen(self, name: str, _arguments: dict, now: float):
        us = (now - self._start) * 1e6
        if name == "query-migrate" and not self._queried:
            self._queried = True
            self.query_us.append(us)
        elif not name.startswith(QUERIES) and not self._acted:
            self._acted = True
            self.action_us.append(us)
            self.actions[name] = self.actions.get(name, 0) + 1


def migrate_once(peer: FakeQemu, watch: Stopwatch) -> int:
    """Until the pass in which the daemon acts. Returns the number of passes."""
    peer.parameters = PARAMETERS | {"downtime-limit": DOWNTIME_LIMIT_MS}
    peer.migration = migration = Migration()
    acted = len(watch.action_us)
    peer.event("MIGRATION", status="setup")
    peer.event("MIGRATION", status="active")
    while migration.passes < MAX_PASSES and len(watch.action_us) == acted:
        migration.sync(peer.parameters)
        watch.start(time.monotonic())
        peer.event("MIGRATION_PASS", **{"pass": migration.passes})
        time.sleep(max(migration.pass_s(), 0.02))
        watch.stop()
    migration.status = "completed"
    migration.remaining = 0
    peer.event("MIGRATION", status="completed")
    time.sleep(PAUSE_S)
    return migration.passes


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def measure(actions: int, limit_s: float) -> dict:
    watch = Stopwatch()
    with Bus() as bus:
        Path(f"{bus.profile_dir}/default.conf").write_text(PROFILE)
        host = FakeHost(bus.qmp_dir, ["fake"])
        try:
            bus.start_daemon()
            host.wait_connected()
            bus.wait_domain("fake")
            peer = host.peers[0]
            peer.seen = watch.seen
            end = time.monotonic() + limit_s
            migrations = passes = 0
            while len(watch.action_us) < actions and time.monotonic() < end:
                passes += migrate_once(peer, watch)
                migrations += 1
        finally:
            host.close()
    result: dict = {"migrations": migrations, "passes": passes, "commands": watch.actions}
    for name, values in (("query", watch.query_us), ("action", watch.action_us)):
        result |= {f"{name}_n": len(values), f"{name}_p50_us": round(percentile(values, 50)),
                   f"{name}_p99_us": round(percentile(values, 99)), f"{name}_max_us": round(max(values, default=0))}
    return result


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench latency", description=__doc__)
    parser.add_argument("-n", type=int, default=200, help="passes that were acted upon (200)")
    parser.add_argument("--limit", type=float, default=600, metavar="S", help="give up after that long (600 s)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args(arguments)
    result = measure(options.n, options.limit)
    if options.json:
        json.dump(result, sys.stdout)
        print()
    else:
        print(f"{result['passes']} passes of {result['migrations']} migrations; commands: {result['commands']}")
        print(f"{'MIGRATION_PASS to':22} {'n':>6} {'p50':>9} {'p99':>9} {'max':>9}")
        for name, what in (("query", "query-migrate"), ("action", "the deciding command")):
            print(f"{what:22} {result[f'{name}_n']:>6} {result[f'{name}_p50_us']:>6} µs "
                  f"{result[f'{name}_p99_us']:>6} µs {result[f'{name}_max_us']:>6} µs")
    if result["action_n"] < options.n:
        print(f"bench: only {result['action_n']} of {options.n} passes were acted upon", file=sys.stderr)
        return 1
    return 0
