# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that plain QEMU never gets across: migrationd brings it over inside the limits, and its record of that
replays to the same decisions."""

import subprocess

from harness import paths
from harness.case import check, needs_kvm, run, same
from harness.pair import MIB
from harness.stage import NAME, PLATEAU, check_arrival, knobs, stage, trace, wait_restored

WHY = "under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last"


def plateau_arrives_inside_the_limits():
    needs_kvm(WHY)
    with stage(PLATEAU) as (bus, pair):
        before = knobs(pair)
        report = bus.json("migrate", NAME, pair.uri, "--wait")
        same(report["Result"], "succeeded", "result")
        check_arrival(pair, bus.max_downtime_ms())
        wait_restored(pair, before)

        status = bus.status(report["Id"])
        same((status["Origin"], status["State"], status["Result"]), ("migrationd", "finished", "succeeded"), "status")
        check(abs(report["downtime_us"] / 1000 - pair.info()["downtime"]) <= 1, "the report's pause is not QEMU's")
        check(report["transferred_bytes"] >= 64 * MIB, "the report's bytes sent are less than the working set")
        actions = {line["action"] for line in trace(bus, report["Id"], "action")}
        check(actions & {"throttle", "arm-throttle"}, f"no throttle among the actions {actions}")
        highest = max(line.get("throttle_pct", 0) for line in trace(bus, report["Id"], "sample"))
        check(0 < highest <= 80, f"throttled to {highest} %, 80 allowed")
        check(report["transferred_bytes"] <= 4 * pair.touched, "more than 4 times the guest's memory was sent")
        text = bus.text("explain", report["Id"])
        check("%" in text and "MiB" in text, f"an explanation without numbers: {text}")
        check(bus.text("watch", report["Id"], "--once").strip(), "no chart")


def trace_replays_to_the_same_decisions():
    needs_kvm(WHY)
    with stage(PLATEAU) as (bus, pair):
        report = bus.json("migrate", NAME, pair.uri, "--wait")
        path = bus.trace(report["Id"])
        check(len(trace(bus, report["Id"], "decision")) >= 2, "hardly a decision in the trace")
        bus.text("replay", path, "--check")

        # The check can fail: another bandwidth in one sample leads elsewhere.
        changed = f"{bus.directory}/changed.jsonl"
        with open(path, encoding="utf-8") as source, open(changed, "w", encoding="utf-8") as sink:
            for line in source:
                sink.write(line.replace('"remaining_bytes":', '"remaining_bytes":9', 1)
                           if '"kind":"sample"' in line else line)
        done = subprocess.run([paths.migrationctl(), "replay", changed, "--check"], capture_output=True, check=False)
        same(done.returncode, 1, "exit status of the replay of a changed trace")


run(plateau_arrives_inside_the_limits, trace_replays_to_the_same_decisions)
