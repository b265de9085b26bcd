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


def virsh_migrate(domain: Domain, *options: str) -> float:
    """Seconds that the command took."""
    begin = time.monotonic()
    process = domain.migrate(*options, p2p=False)
    output, _ = process.communicate(timeout=150)
    same(process.returncode, 0, f"exit status of virsh ({output.strip()})")
    return time.monotonic() - begin


def auto_converge_is_steered():
    needs_kvm(WHY)
    with Site() as site:
        # The first guest on a host waits for what libvirtd has to find out about QEMU; not these two.
        reference = site.knobs(speed_mib=SPEED_MIB)
        site.knobs(site.b)

        plain = site.start("plain", GUEST, speed_mib=SPEED_MIB)
        plain_s = virsh_migrate(plain, "--auto-converge")
        plain.arrive()
        figure = figures(site.b, plain.name)
        print(f"# without migrationd: {plain_s:.1f} s, {figure['Data processed'] >> 20} MiB, {figure['Iteration']} "
              f"passes, pause {figure['Total downtime']} ms", flush=True)
        plain.close()

        bus = site.start_daemon()
        domain = site.start("vm", GUEST, speed_mib=SPEED_MIB)
        bus.wait_domain(domain.name)
        begin = time.monotonic()
        process = domain.migrate("--auto-converge", p2p=False)
        migration = bus.wait_migration(domain.name, 30)
        found = bus.status(migration)
        check(found["Pass"] <= 1, f"found only in pass {found['Pass']}")
        same((found["Origin"], found["Direction"]), ("external", "outgoing"), "origin, direction")
        output, _ = process.communicate(timeout=150)
        steered_s = time.monotonic() - begin
        same(process.returncode, 0, f"exit status of virsh ({output.strip()})")
        check_arrival(domain, bus.max_downtime_ms())
        print(f"# with migrationd: {steered_s:.1f} s, {plain_s / steered_s:.1f} times sooner", flush=True)

        same(bus.wait_finished(migration, 15)["Result"], "succeeded", "result")
        actions = {line["action"] for line in trace(bus, migration, "action")}
        check("throttle" in actions or "arm-throttle" in actions, f"no throttle among the actions {actions}")
        check("%" in bus.text("explain", migration), "an explanation without numbers")
        check(plain_s >= TIMES_SOONER * steered_s,
              f"{steered_s:.1f} s with migrationd, {plain_s:.1f} s without: not {TIMES_SOONER} times sooner")
        same(domain.knobs(), reference, "knobs at the destination")


run(auto_converge_is_steered)
