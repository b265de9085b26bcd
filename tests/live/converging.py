# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that gets across by itself is left alone."""

import threading

from harness.case import check, run, same
from harness.stage import CONVERGING, NAME, check_arrival, knobs, stage, trace, wait_restored


def converging_guest_is_left_alone():
    with stage(CONVERGING) as (bus, pair):
        before = knobs(pair)
        seen: list[tuple[int, int]] = []  # downtime limit, throttle
        result: list[dict] = []
        migrating = threading.Thread(target=lambda: result.append(bus.json("migrate", NAME, pair.uri, "--wait")))
        migrating.start()
        while migrating.is_alive():
            seen.append((pair.parameters()["downtime-limit"], pair.info().get("cpu-throttle-percentage", 0)))
            migrating.join(0.05)
        report = result[0]
        same(report["Result"], "succeeded", "result")
        check(len(seen) > 10, "the migration was hardly looked at")
        same(set(seen), {(before["downtime-limit"], 0)}, "downtime limits and throttles on the way")
        same([line["action"] for line in trace(bus, report["Id"], "action")], [], "actions")
        same({line["action"] for line in trace(bus, report["Id"], "decision")}, {"wait"}, "decisions")
        wait_restored(pair, before)
        check_arrival(pair, bus.max_downtime_ms())


run(converging_guest_is_left_alone)
