# SPDX-License-Identifier: LGPL-2.1-or-later
"""A profile that allows nothing but abort: a hopeless migration ends early and leaves no trace on the guest."""

from pathlib import Path

from harness.case import check, needs_kvm, run, same
from harness.site import PLATEAU, Site, trace, wait_knobs

WHY = "under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last"
PROFILE = """[Profile]
Description=Nothing but abort
Allow=abort
OnDeadline=abort
Deadline=60s
[Match]
Name=untouchable-*
"""


def hopeless_migration_is_aborted_early():
    needs_kvm(WHY)
    with Site() as site:
        reference = site.knobs()
        Path(f"{site.bus.profile_dir}/nothing.conf").write_text(PROFILE)
        bus = site.start_daemon()
        domain = site.start("untouchable-1", PLATEAU)
        same(bus.wait_domain(domain.name)["Profile"], "nothing", "profile")
        process = domain.migrate(p2p=False)
        migration = bus.wait_migration(domain.name, 30)
        output, _ = process.communicate(timeout=90)
        # One time in twenty QEMU stumbles over the socket that it closes to cancel, and virsh tells that.
        check(process.returncode != 0 and ("canceled" in output or "Broken pipe" in output),
              f"virsh does not report the cancel: {output}")
        status = bus.wait_finished(migration, 15)
        same(status["Result"], "canceled", "result")
        last = [d for d in trace(bus, migration, "decision") if d["action"] != "wait"][-1]
        same(last["action"], "abort", "last decision to act")
        took_s = trace(bus, migration, "finish")[0]["total_us"] / 1e6
        print(f"# aborted after {took_s:.1f} s of 60 s, {last['reason']}: {status['LastDecision']}")
        check(took_s < 40, "not early")
        same({a["action"] for a in trace(bus, migration, "action")}, {"abort"}, "actions")
        same(domain.state(), "running", "state at the source")
        domain.runs_on()
        wait_knobs(domain, reference)


run(hopeless_migration_is_aborted_early)
