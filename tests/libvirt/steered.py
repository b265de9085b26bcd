# SPDX-License-Identifier: LGPL-2.1-or-later
"""virsh migrate, started by somebody else: found at once, steered, done inside the limits, and much sooner than without
migrationd."""

import time

from harness.case import check, needs_kvm, run, same
from harness.domain import Domain
from harness.site import Site, check_arrival, figures, trace

WHY = "under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last"
TIMES_SOONER = 3
# Far from what the link carries: QEMU creeps up to the throttle that it takes.
GUEST, SPEED_MIB = "ws=64 rate=120", 20
# A machine that is busy with other things keeps a guest from dirtying its memory, as a throttle would.
TRIES = 2


def ends(domain: Domain, process, begin: float) -> float:
    """Seconds that the command took."""
    output, _ = process.communicate(timeout=150)
    same(process.returncode, 0, f"exit status of virsh ({output.strip()})")
    return time.monotonic() - begin


def without(site: Site, name: str) -> tuple[float, dict]:
    """Also the knobs as libvirt leaves them at the destination."""
    domain = site.start(name, GUEST, speed_mib=SPEED_MIB)
    begin = time.monotonic()
    seconds = ends(domain, domain.migrate("--auto-converge", p2p=False), begin)
    domain.arrive()
    figure = figures(site.b, name)
    print(f"# without migrationd: {seconds:.1f} s, {figure['Data processed'] >> 20} MiB, {figure['Iteration']} passes, "
          f"pause {figure['Total downtime']} ms", flush=True)
    knobs = domain.knobs()
    domain.close()
    return seconds, knobs


def steered(site: Site, name: str, reference: dict) -> float:
    bus = site.start_daemon()
    domain = site.start(name, GUEST, speed_mib=SPEED_MIB)
    bus.wait_domain(name)
    begin = time.monotonic()
    process = domain.migrate("--auto-converge", p2p=False)
    migration = bus.wait_migration(name, 30)
    found = bus.status(migration)
    check(found["Pass"] <= 1, f"found only in pass {found['Pass']}")
    same((found["Origin"], found["Direction"]), ("external", "outgoing"), "origin, direction")
    seconds = ends(domain, process, begin)
    check_arrival(domain, bus.max_downtime_ms())
    same(bus.wait_finished(migration, 15)["Result"], "succeeded", "result")
    actions = {line["action"] for line in trace(bus, migration, "action")}
    check("throttle" in actions or "arm-throttle" in actions, f"no throttle among the actions {actions}")
    check("%" in bus.text("explain", migration), "an explanation without numbers")
    same(domain.knobs(), reference, "knobs at the destination")
    domain.close()
    bus.stop_daemon()
    return seconds


def auto_converge_is_steered():
    needs_kvm(WHY)
    with Site() as site:
        # The first guest on a host waits for what libvirtd has to find out about QEMU; these two do, not the others.
        site.knobs()
        site.knobs(site.b)
        for number in range(TRIES):
            plain_s, reference = without(site, f"plain{number}")
            steered_s = steered(site, f"vm{number}", reference)
            times = plain_s / steered_s
            print(f"# with migrationd: {steered_s:.1f} s, {times:.1f} times sooner", flush=True)
            if times >= TIMES_SOONER:
                return
        raise AssertionError(f"not {TIMES_SOONER} times sooner in {TRIES} tries")


run(auto_converge_is_steered)
