# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QEMU that hangs in the middle of its migration is nobody else's problem: another domain is steered as quickly as
ever. Nor is a libvirtd that hangs: the bus answers, and a QEMU without libvirt is steered."""

import signal
import time
from collections.abc import Callable

from harness.bus import Bus
from harness.case import check, needs_kvm, run, same
from harness.domain import Domain
from harness.pair import Pair
from harness.site import PLATEAU, Site, check_arrival, trace

WHY = "under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last"
MORE_MS = 100
# A call of migrationctl on a busy machine; one that waited for libvirt would take its CallTimeout, five seconds.
ANSWER_S = 2


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


def quickly(what: str, call: Callable):
    begin = time.monotonic()
    value = call()
    took_s = time.monotonic() - begin
    check(took_s < ANSWER_S, f"{what} took {took_s:.1f} s")
    return value


def hung_libvirtd_holds_nobody_up():
    needs_kvm(WHY)
    with Site() as site:
        bus = site.start_daemon()
        domain = site.start("vm", "ws=32 rate=10", speed_mib=5)
        bus.wait_domain("vm")
        process = domain.migrate("--auto-converge")
        migration = bus.wait_migration("vm", 30)
        domain.wait_pass(1)
        with Pair("ws=32 rate=60", "bare", qmp_dir=bus.qmp_dir, bandwidth_mib=20) as pair:
            bus.wait_domain("bare")
            site.a.libvirtd.send_signal(signal.SIGSTOP)
            try:
                quickly("list", lambda: bus.json("list"))
                quickly("status", lambda: bus.status(migration))
                bare = quickly("migrate", lambda: bus.json("migrate", "bare", pair.uri))["Id"]
                while bus.status(bare)["State"] != "finished":
                    quickly("list", lambda: bus.json("list"))
                    time.sleep(0.2)
                # A daemon that starts meanwhile, too, finds all that is not libvirt's.
                bus.kill_daemon()
                quickly("start", site.start_daemon)
                quickly("the bare QEMU", lambda: bus.wait_domain("bare"))
            finally:
                site.a.libvirtd.send_signal(signal.SIGCONT)
            actions = {a["action"] for a in trace(bus, bare, "action")}
            check(actions & {"throttle", "arm-throttle"}, f"no throttle among the actions {actions}")
            finish = trace(bus, bare, "finish")[0]
            same(finish["result"], "succeeded", "result of the bare QEMU")
            check(finish["downtime_us"] <= bus.max_downtime_ms() * 1000, f"pause of {finish['downtime_us']} us")
            verdict = pair.verify_destination()
            same(verdict.wrong, 0, f"wrong pages of the bare QEMU ({verdict.reason})")
        output, _ = process.communicate(timeout=120)
        same(process.returncode, 0, f"exit status of virsh ({output.strip()})")
        same(bus.wait_finished(migration, 30)["Result"], "succeeded", "result of libvirt's domain")
        check_arrival(domain, 10_000)


run(hung_qemu_delays_nobody_else, hung_libvirtd_holds_nobody_up)
