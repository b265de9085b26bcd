# SPDX-License-Identifier: LGPL-2.1-or-later
"""A libvirt domain with a dirty ring is slowed by limits of what its vCPUs may dirty, also where virsh was not told to
throttle; no limit stays behind."""

import time

from harness.bus import Bus
from harness.case import check, needs_kvm, run, same
from harness.domain import Domain
from harness.site import Site, check_arrival, trace

NAME = "vm"
RING = 1024
# Far from what the link carries, so that a machine that is busy with other things does not end it by itself.
PLATEAU, SPEED_MIB = "ws=64 rate=120 exits=1", 20
WHY = "rings are KVM's"


def limits(domain: Domain) -> list[int]:
    """MiB/s, of each vCPU that has one."""
    return [row["limit-rate"] for row in domain.host.virsh.monitor(domain.name, "query-vcpu-dirty-limit")]


def wait_for(look, what: str, timeout: float = 40):
    end = time.monotonic() + timeout
    while not (found := look()):
        check(time.monotonic() < end, f"{what} not seen in {timeout:.0f} s")
        time.sleep(0.05)
    return found


def begin(site: Site) -> tuple[Bus, Domain]:
    bus = site.start_daemon()
    domain = site.start(NAME, PLATEAU, speed_mib=SPEED_MIB, ring=RING)
    bus.wait_domain(NAME)
    wait_for(lambda: bus.json("write-protect", NAME)["WriteProtect"] == "dirty-ring", "the ring", 15)
    same(limits(domain), [], "limits before the migration")
    return bus, domain


def plateau_of_virsh_arrives_by_limits():
    needs_kvm(WHY)
    with Site() as site:
        bus, domain = begin(site)
        process = domain.migrate()  # without --auto-converge: nothing else can slow it
        migration = bus.wait_migration(NAME, 30)
        wait_for(lambda: limits(domain), "a limit")
        wait_for(lambda: process.poll() is not None, "end of virsh", 120)
        same(process.returncode, 0, f"exit status of virsh ({process.communicate()[0].strip()})")
        check_arrival(domain, bus.max_downtime_ms())
        same(bus.wait_finished(migration, 15)["Result"], "succeeded", "result")
        same(trace(bus, migration, "start")[0]["write_protect"], "dirty-ring", "mechanism in the trace")
        check("throttle" in [line["action"] for line in trace(bus, migration, "action")], "no throttle")
        same(limits(domain), [], "limits at the destination")


def no_limit_stays_when_it_is_aborted():
    needs_kvm(WHY)
    with Site() as site:
        bus, domain = begin(site)
        process = domain.migrate()
        migration = bus.wait_migration(NAME, 30)
        wait_for(lambda: limits(domain), "a limit")
        site.a.virsh("domjobabort", NAME)
        process.communicate(timeout=30)
        same(bus.wait_finished(migration, 15)["Result"], "canceled", "result")
        wait_for(lambda: not limits(domain), "end of the limits", 10)
        domain.runs_on()


def no_limit_stays_after_a_crash():
    """migrationd is killed with a limit in force, and the migration ends meanwhile: the next one takes it away."""
    needs_kvm(WHY)
    with Site() as site:
        bus, domain = begin(site)
        process = domain.migrate()
        bus.wait_migration(NAME, 30)
        wait_for(lambda: limits(domain), "a limit")
        bus.kill_daemon()
        site.a.virsh("domjobabort", NAME)
        process.communicate(timeout=30)
        check(limits(domain), "nothing was left behind: the test proves nothing")
        site.start_daemon()
        wait_for(lambda: not limits(domain), "end of the limits", 15)
        domain.runs_on()


run(plateau_of_virsh_arrives_by_limits, no_limit_stays_when_it_is_aborted, no_limit_stays_after_a_crash)
