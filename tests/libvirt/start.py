# SPDX-License-Identifier: LGPL-2.1-or-later
"""Migrations that migrationd starts itself, peer to peer; what it does when somebody else turns a knob, and what when
it may not send monitor commands."""

import os
import time

from harness.bus import Bus, CtlError
from harness.case import check, needs_kvm, run, same
from harness.site import CONVERGING, PLATEAU, Site, check_arrival, trace, wait_decision, wait_knobs

WHY = "under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last"
FOREIGN_MS = 77


def measure(bus: Bus, domain: str) -> int:
    """Bytes/s that the guest dirties, by page sampling."""
    return bus.json("dirty-rate", domain)["DirtyRate"]


def dirty_rate_is_measured_before_and_refused_during_a_migration():
    needs_kvm(WHY)
    with Site() as site:
        bus = site.start_daemon()
        busy, idle = site.start("busy", PLATEAU), site.start("idle", "ws=64 rate=0")
        for domain in (busy, idle):
            bus.wait_domain(domain.name)
        rates = measure(bus, "busy"), measure(bus, "idle")
        print(f"# measured: {rates[0] >> 20} and {rates[1] >> 20} MiB/s")
        # It counts each page once, so 64 MiB and the tables are the most that it can see.
        check(32 << 20 <= rates[0] <= 97 << 20 and rates[1] < 8 << 20, f"dirty rates {rates} of 90 MB/s and none")
        same(bus.wait_domain("busy")["DirtyRate"], rates[0], "property DirtyRate")
        same(bus.wait_domain("busy")["Tainted"], False, "tainted by measuring")
        process = busy.migrate("--auto-converge")
        migration = bus.wait_migration("busy", 30)
        begin = time.monotonic()
        try:
            measure(bus, "busy")
            raise AssertionError("measured during a migration")
        except CtlError as e:
            check("is being migrated" in str(e), str(e))
        check(time.monotonic() - begin < 2, "refused only after it was tried")
        wait_decision(bus, migration, lambda d: "throttle" in d["action"])
        same(bus.wait_domain("busy")["Tainted"], True, "Tainted after a monitor command")
        check("monitor command past libvirt" in bus.log_text(), "the log does not say why it is tainted")
        bus.text("cancel", migration)
        process.communicate(timeout=30)


def without_kvm_only_sampling_is_measured():
    """QEMU before 9.1 dies of the other modes."""
    real = os.environ.get("MIGD_ACCEL")
    os.environ["MIGD_ACCEL"] = "tcg"
    try:
        with Site() as site:
            bus = site.start_daemon()
            domain = site.start("vm", CONVERGING)
            bus.wait_domain("vm")
            for mode, word in (("dirty-bitmap", "KVM"), ("dirty-ring", "KVM"), ("guessing", "page-sampling")):
                try:
                    bus.text("dirty-rate", "vm", f"--mode={mode}")
                    raise AssertionError(f"{mode} was accepted")
                except CtlError as e:
                    check(word in str(e), str(e))
            check(bus.json("dirty-rate", "vm")["DirtyRate"] > 0, "nothing measured by sampling")
            domain.runs_on()
    finally:
        os.environ.pop("MIGD_ACCEL")
        if real:
            os.environ["MIGD_ACCEL"] = real


def plateau_arrives_inside_the_limits():
    needs_kvm(WHY)
    with Site() as site:
        bus = site.start_daemon()
        domain = site.start("vm", PLATEAU)
        same(bus.wait_domain("vm")["Backend"], "libvirt", "backend")
        domain.listen(site.b)
        report = bus.json("migrate", "vm", site.b.uri, "--wait")
        same(report["Result"], "succeeded", "result")
        status = bus.status(report["Id"])
        same((status["Origin"], status["Destination"]), ("migrationd", site.b.uri), "origin, destination")
        check_arrival(domain, bus.max_downtime_ms())


def cancel_works_while_it_runs():
    needs_kvm(WHY)
    with Site() as site:
        reference = site.knobs()
        bus = site.start_daemon()
        domain = site.start("vm", PLATEAU)
        bus.wait_domain("vm")
        domain.listen(site.b)
        migration = bus.json("migrate", "vm", site.b.uri)["Id"]
        domain.wait_pass(1)
        bus.text("cancel", migration)
        same(bus.wait_finished(migration, 15)["Result"], "canceled", "result")
        domain.runs_on()
        wait_knobs(domain, reference)


def what_cannot_work_is_refused_or_fails():
    with Site() as site:
        bus = site.start_daemon()
        domain = site.start("vm", "ws=8 rate=2")
        bus.wait_domain("vm")
        for destination in ("exec:true", "qemu+ssh://h/system;id", "nonsense"):
            try:
                bus.json("migrate", "vm", destination, "--wait")
                raise AssertionError(f"{destination} was accepted")
            except CtlError:
                pass
        site.b.stop_libvirtd()
        try:
            bus.json("migrate", "vm", site.b.uri, "--wait")
            raise AssertionError("arrived where nobody is")
        except CtlError as e:
            same(e.code, 1, "exit status")
        same(domain.state(), "running", "state")
        domain.runs_on()


def foreign_hand_is_left_its_knob():
    needs_kvm(WHY)
    with Site() as site:
        bus = site.start_daemon()
        domain = site.start("vm", PLATEAU, speed_mib=20)
        bus.wait_domain("vm")
        process = domain.migrate()
        migration = bus.wait_migration("vm", 30)
        domain.wait_pass(1)
        site.a.virsh("migrate-setmaxdowntime", "vm", str(FOREIGN_MS))
        end = time.monotonic() + 20
        while bus.status(migration)["DowntimeLimit"] != FOREIGN_MS * 1000:
            check(time.monotonic() < end, "the foreign limit is not noticed")
            time.sleep(0.1)
        check("Somebody else changed downtime-limit" in bus.log_text(), "the log does not say so")
        domain.wait_pass(5)
        same(site.a.virsh("migrate-getmaxdowntime", "vm"), str(FOREIGN_MS), "the limit that somebody else set")
        bus.text("cancel", migration)
        process.communicate(timeout=30)
        same(bus.wait_finished(migration, 15)["Result"], "canceled", "result")


def without_monitor_commands_nothing_is_tainted():
    needs_kvm(WHY)
    with Site() as site:
        bus = site.start_daemon(monitor=False)
        domain = site.start("vm", PLATEAU)
        bus.wait_domain("vm")
        process = domain.migrate("--auto-converge")
        migration = bus.wait_migration("vm", 30)
        domain.wait_pass(3)
        same(bus.wait_domain("vm")["Tainted"], False, "Tainted")
        check("custom-monitor" not in site.a.virsh("dominfo", "vm"), "tainted by a monitor command")
        same([a["action"] for a in trace(bus, migration, "action") if "throttle" in a["action"]], [], "throttles")
        bus.text("cancel", migration)
        process.communicate(timeout=30)
        same(bus.wait_finished(migration, 15)["Result"], "canceled", "result")
        domain.runs_on()


run(dirty_rate_is_measured_before_and_refused_during_a_migration, without_kvm_only_sampling_is_measured,
    plateau_arrives_inside_the_limits, cancel_works_while_it_runs, what_cannot_work_is_refused_or_fails,
    foreign_hand_is_left_its_knob, without_monitor_commands_nothing_is_tainted)
