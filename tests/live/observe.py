# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mode observe: decisions are made and told, and the QEMU sees nothing but questions."""

from harness.case import check, needs_kvm, run, same
from harness.stage import NAME, PLATEAU, check_stays, knobs, stage, trace


def observe_only_asks():
    needs_kvm("under TCG QEMU 7.2 forgets dirty pages, so that there is nothing to decide")
    with stage(PLATEAU, "--mode=observe", tapped=True) as (bus, pair):
        pair.set_capabilities(auto_converge=True)
        # QEMU's own auto-converge must not end it before there is something to decide.
        pair.set_parameters(cpu_throttle_initial=1, cpu_throttle_increment=1)
        before = knobs(pair)
        pair.migrate()
        migration = bus.wait_migration(NAME)
        pair.wait_end(10)
        same(knobs(pair), before, "knobs during the migration")
        check(any(d["action"] != "wait" for d in trace(bus, migration, "decision")), "nothing was decided")
        pair.cancel()
        same(bus.wait_finished(migration)["Result"], "canceled", "result")
        same(knobs(pair), before, "knobs after the migration")
        commands = [str(c) for c in pair.tap.actions()]
        same([c for c in commands if "events" not in c], [], "commands that change something")
        check(pair.tap.commands, "the tap saw nothing")
        check_stays(pair)


run(observe_only_asks)
