# SPDX-License-Identifier: LGPL-2.1-or-later
"""Post-copy needs the initiator's leave: with it migrationd switches when its forecast says so; without it it says why
it cannot."""

import time

from harness.bus import CtlError
from harness.case import check, needs_kvm, run, same
from harness.site import PLATEAU, Site, check_arrival, trace, wait_decision, wait_knobs

WHY = "under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last"


def with_leave_it_switches_by_forecast():
    needs_kvm(WHY)
    with Site() as site:
        bus = site.start_daemon()
        domain = site.start("vm", PLATEAU)
        bus.wait_domain(domain.name)
        process = domain.migrate("--postcopy", p2p=False)
        migration = bus.wait_migration(domain.name, 30)
        output, _ = process.communicate(timeout=90)
        same(process.returncode, 0, f"exit status of virsh ({output.strip()})")
        status = bus.wait_finished(migration, 15)
        same(status["Result"], "succeeded", "result")
        switch = [d for d in trace(bus, migration, "decision") if d["action"] == "post-copy"]
        same([d["reason"] for d in switch], ["postcopy-cheapest"], "reasons to switch")
        check(switch[0]["pass"] >= 2, "switched before a whole pass was seen")
        check(0 < switch[0]["time_us_left_mid"] < 10_000_000, f"no forecast behind it: {switch[0]}")
        seconds = (switch[0]["t_us"] - trace(bus, migration, "start")[0]["t_us"]) / 1e6
        print(f"# switched in pass {switch[0]['pass']}, {seconds:.1f} s after it was found")
        check_arrival(domain, bus.max_downtime_ms())


def without_leave_it_says_that_it_cannot():
    needs_kvm(WHY)
    with Site() as site:
        reference = site.knobs()
        bus = site.start_daemon()
        domain = site.start("vm", PLATEAU)
        bus.wait_domain(domain.name)
        process = domain.migrate(p2p=False)
        migration = bus.wait_migration(domain.name, 30)
        wait_decision(bus, migration, lambda d: d["reason"] == "nothing-allowed" or d["action"] == "abort", 60)
        text = bus.status(migration)["LastDecision"] + bus.text("explain", migration)
        for word in ("post-copy", "throttle"):
            check(word in text, f"does not say that {word} is not possible: {text}")
        print("".join(f"# {line}\n" for line in text.splitlines()), end="")
        if bus.status(migration)["State"] != "finished":
            bus.text("cancel", migration)
        process.communicate(timeout=30)
        check(process.returncode != 0, "virsh does not report the end")
        same(bus.wait_finished(migration, 15)["Result"], "canceled", "result")
        domain.runs_on()
        wait_knobs(domain, reference)


def daemon_killed_in_postcopy():
    """The next one takes it up, leaves it alone, and sees it arrive."""
    needs_kvm(WHY)
    with Site() as site:
        bus = site.start_daemon()
        domain = site.start("vm", PLATEAU)
        bus.wait_domain("vm")
        process = domain.migrate("--postcopy", "--postcopy-bandwidth", "4")
        migration = bus.wait_migration("vm", 30)
        end = time.monotonic() + 60
        while (state := bus.status(migration)["State"]) != "postcopy":
            check(time.monotonic() < end and state != "finished", f"{state}, not in post-copy")
            time.sleep(0.05)
        actions = len(trace(bus, migration, "action"))
        bus.kill_daemon()
        site.start_daemon()
        same(bus.wait_migration("vm", 15), migration, "the migration that was adopted")
        same(bus.status(migration)["State"], "postcopy", "state that the next daemon shows")
        try:
            bus.text("cancel", migration)
            raise AssertionError("cancelled in post-copy")
        except CtlError as e:
            check("only there it can go on" in str(e), str(e))
        output, _ = process.communicate(timeout=120)
        same(process.returncode, 0, f"exit status of virsh ({output.strip()})")
        same(bus.wait_finished(migration, 30)["Result"], "succeeded", "result")
        same(len(trace(bus, migration, "action")), actions, "actions")
        # What is silence on the console is the guest waiting for its pages over a slow link.
        check_arrival(domain, 10_000)


run(with_leave_it_switches_by_forecast, without_leave_it_says_that_it_cannot, daemon_killed_in_postcopy)
