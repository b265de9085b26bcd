# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QEMU that hangs in the middle of its migration is nobody else's problem: another domain is steered as quickly as
ever."""

import signal

from harness.bus import Bus
from harness.case import check, needs_kvm, run, same
from harness.domain import Domain
from harness.site import PLATEAU, Site, check_arrival, trace

WHY = "under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last"
MORE_MS = 100


def steering_ms(bus: Bus, migration: str) -> dict[str, float]:
    """The longest silence between two observations, and from deciding on an action to its being done."""
    samples = [s["t_us"] for s in trace(bus, migration, "sample") if s["status"] == "precopy"]
    actions = [a["t_us"] for a in trace(bus, migration, "action")]
    outcomes = [o["t_us"] for o in trace(bus, migration, "outcome")]
    check(len(samples) > 5 and actions and len(outcomes) >= len(actions), "the migration was hardly steered")
    return {"silence": max(b - a for a, b in zip(samples, samples[1:])) / 1000,
            "action": max(next(o for o in outcomes if o >= a) - a for a in actions) / 1000}


def migrate(bus: Bus, domain: Domain) -> dict[str, float]:
    bus.wait_domain(domain.name)
    process = domain.migrate("--auto-converge")
    migration = bus.wait_migration(domain.name, 30)
    output, _ = process.communicate(timeout=90)
    same(process.returncode, 0, f"exit status of virsh for {domain.name} ({output.strip()})")
    same(bus.wait_finished(migration, 15)["Result"], "succeeded", f"result of {domain.name}")
    check_arrival(domain, bus.max_downtime_ms())
    steering = steering_ms(bus, migration)
    print(f"# {domain.name}: {steering['silence']:.0f} ms between observations, {steering['action']:.0f} ms for an "
          "action, at most", flush=True)
    return steering


def hung_qemu_delays_nobody_else():
    needs_kvm(WHY)
    with Site() as site:
        bus = site.start_daemon()
        before = site.start("before", PLATEAU)
        alone = migrate(bus, before)
        before.close()

        hung = site.start("hung", "ws=32 rate=10", speed_mib=5)
        bus.wait_domain(hung.name)
        process = hung.migrate("--auto-converge")
        stuck = bus.wait_migration(hung.name, 30)
        hung.wait_pass(1)
        site.a.signal_qemu(hung.name, signal.SIGSTOP)
        beside = migrate(bus, site.start("beside", PLATEAU))
        check(bus.status(stuck)["State"] != "finished", "the hung migration has ended")
        for what, ms in beside.items():
            check(ms <= alone[what] + MORE_MS, f"{what}: {ms:.0f} ms beside a hung QEMU, {alone[what]:.0f} ms alone")

        site.a.signal_qemu(hung.name, signal.SIGCONT)
        output, _ = process.communicate(timeout=90)
        same(process.returncode, 0, f"exit status of virsh for the one that hung ({output.strip()})")
        same(bus.wait_finished(stuck, 15)["Result"], "succeeded", "result of the one that hung")
        check_arrival(hung, 10_000)


run(hung_qemu_delays_nobody_else)
