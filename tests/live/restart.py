# SPDX-License-Identifier: LGPL-2.1-or-later
"""migrationd is killed in the middle: the migration goes on, and the next migrationd takes it up where it was."""

import time

from harness.case import check, needs_kvm, run, same
from harness.stage import CONVERGING, NAME, PLATEAU, check_arrival, knobs, stage, trace, wait_pass, wait_restored


def killed_and_taken_up():
    needs_kvm("under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last")
    with stage(PLATEAU, tapped=True) as (bus, pair):
        before = knobs(pair)
        migration = bus.json("migrate", NAME, pair.uri)["Id"]
        end = time.monotonic() + 30
        while not trace(bus, migration, "outcome"):  # the first action is in force
            check(time.monotonic() < end, "nothing done in 30 s")
            time.sleep(0.02)
        bus.kill_daemon()
        killed = time.monotonic()
        same(pair.info()["status"], "active", "QEMU's status after migrationd was killed")
        sent = {str(c) for c in pair.tap.actions()}

        bus.start_daemon()
        bus.wait_domain(NAME)
        status = bus.wait_finished(migration)
        same((status["Result"], status["Origin"]), ("succeeded", "migrationd"), "result and origin after the restart")
        same(len(bus.json("status")), 1, "migrations known")
        asked = {c.name for c in pair.tap.commands if c.seen > killed}
        check("query-migrate" in asked, "the new migrationd did not follow the migration")
        again = [str(c) for c in pair.tap.actions(since=killed) if str(c) in sent and "events" not in str(c)]
        same(again, [], "commands sent a second time")
        check_arrival(pair, bus.max_downtime_ms())
        wait_restored(pair, before)
        bus.text("replay", bus.trace(migration), "--check")


def ended_meanwhile():
    with stage(CONVERGING) as (bus, pair):
        before = knobs(pair)
        migration = bus.json("migrate", NAME, pair.uri)["Id"]
        wait_pass(bus, migration, 2)
        bus.kill_daemon()
        same(pair.wait_end(60)["status"], "completed", "QEMU's status")
        bus.start_daemon()
        same(bus.wait_finished(migration)["Result"], "succeeded", "result of a migration that ended unwatched")
        wait_restored(pair, before)


run(killed_and_taken_up, ended_meanwhile)
