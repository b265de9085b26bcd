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
        # Our own start begins with a lower limit than the profile's, and may raise it, but never over what it was.
        limits = {limit for limit, _ in seen}
        check(limits and max(limits) <= before["downtime-limit"], f"downtime limits on the way: {limits}")
        same({throttle for _, throttle in seen}, {0}, "throttles on the way")
        # A throttle may be made ready for the case that the guest does not converge; it must not come into force.
        done = {line["action"] for line in trace(bus, report["Id"], "action")}
        check(done <= {"arm-throttle", "release-throttle", "set-downtime"}, f"actions {done}")
        samples = trace(bus, report["Id"], "sample")
        same({line.get("throttle_pct", 0) for line in samples}, {0}, "throttles in the trace")
        wait_restored(pair, before)
        check_arrival(pair, bus.max_downtime_ms())


run(converging_guest_is_left_alone)
