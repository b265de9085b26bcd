# SPDX-License-Identifier: LGPL-2.1-or-later
"""Migrations that somebody else started with raw QMP are found, watched and, as far as their start allows, steered."""

from harness.case import check, needs_kvm, run, same
from harness.stage import CONVERGING, NAME, PLATEAU, check_arrival, check_stays, knobs, stage, trace, wait_restored

WHY = "under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last"


def with_auto_converge_it_is_steered():
    needs_kvm(WHY)
    with stage(PLATEAU) as (bus, pair):
        pair.set_capabilities(auto_converge=True)
        before = knobs(pair)
        pair.migrate()
        migration = bus.wait_migration(NAME)
        same(bus.status(migration)["Origin"], "external", "origin")
        same(pair.wait_end(40)["status"], "completed", "QEMU's status")
        same(bus.wait_finished(migration)["Result"], "succeeded", "result")
        check(trace(bus, migration, "action"), "nothing was done")
        check_arrival(pair, bus.max_downtime_ms())
        wait_restored(pair, before)


def without_auto_converge_it_is_watched_and_says_so():
    needs_kvm(WHY)
    with stage(PLATEAU) as (bus, pair):
        pair.migrate()
        migration = bus.wait_migration(NAME)
        pair.wait_end(10)  # it does not end
        status = bus.status(migration)
        same((status["Origin"], status["State"], status["Throttle"]), ("external", "precopy", 0), "status")
        check(status["Pass"] >= 3, "passes are not followed")
        text = status["LastDecision"] + bus.text("explain", migration)
        check("throttle" in text or "auto-converge" in text, f"does not say that it cannot throttle: {text}")
        same([a["action"] for a in trace(bus, migration, "action") if a["action"] == "throttle"], [], "throttling")
        pair.cancel()
        same(bus.wait_finished(migration)["Result"], "canceled", "result")
        check_stays(pair)


def found_when_migrationd_starts_late():
    with stage(CONVERGING) as (bus, pair):
        bus.stop_daemon()
        pair.set_capabilities(events=True)
        pair.migrate()
        bus.start_daemon()
        migration = bus.wait_migration(NAME)
        same(bus.wait_finished(migration)["Result"], "succeeded", "result")
        same(bus.status(migration)["Origin"], "external", "origin")
        check_arrival(pair, bus.max_downtime_ms())


run(with_auto_converge_it_is_steered, without_auto_converge_it_is_watched_and_says_so,
    found_when_migrationd_starts_late)
