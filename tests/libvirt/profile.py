# SPDX-License-Identifier: LGPL-2.1-or-later
"""A profile that is given to a domain persistently travels with it; a domain that has no next start has none for that
either."""

from harness.bus import CtlError
from harness.case import check, run, same
from harness.site import CONVERGING, Site

ELEMENT = "urn:migrationd:policy:1"


def persistent_profile_travels():
    with Site() as site:
        buses = [site.start_daemon(host) for host in (site.a, site.b)]
        domain = site.start("vm", CONVERGING, persistent=True)
        same(buses[0].wait_domain("vm")["Profile"], "default", "profile before")
        buses[0].text("set-profile", "vm", "gentle", "--persistent")
        same(buses[0].wait_domain("vm")["Profile"], "gentle", "profile at the source")
        check("gentle" in site.a.virsh("metadata", "vm", ELEMENT), "not in libvirt's metadata")
        check("gentle" in site.a.virsh("dumpxml", "vm", "--inactive"), "not for the next start")

        process = domain.migrate("--persistent")
        migration = buses[0].wait_migration("vm", 30)
        same(buses[0].status(migration)["Profile"], "gentle", "profile of the migration")
        output, _ = process.communicate(timeout=90)
        same(process.returncode, 0, f"exit status of virsh ({output.strip()})")
        domain.arrive()
        verdict = domain.verify()
        check(not verdict.wrong, f"{verdict} wrong pages: {verdict.reason}")
        there = buses[1].wait_domain("vm")
        same((there["Profile"], there["ProfileSource"]), ("gentle", "metadata"), "profile at the destination")

        buses[1].text("set-profile", "vm", "--persistent")
        same(buses[1].wait_domain("vm")["ProfileSource"], "default", "source of the profile once it is taken away")
        check("gentle" not in site.b.virsh("dumpxml", "vm"), "still in libvirt's metadata")


def transient_domain_has_one_for_its_life():
    with Site() as site:
        bus = site.start_daemon()
        site.start("vm", CONVERGING)
        bus.wait_domain("vm")
        try:
            bus.text("set-profile", "vm", "gentle", "--persistent")
            raise AssertionError("a transient domain was given a profile for its next start")
        except CtlError as e:
            check(e.code == 1 and "transient" in str(e), str(e))
        same(bus.wait_domain("vm")["Profile"], "default", "profile after the refusal")
        bus.text("set-profile", "vm", "gentle")
        same(bus.wait_domain("vm")["Profile"], "gentle", "profile")
        bus.kill_daemon()
        site.start_daemon()
        found = bus.wait_domain("vm", known=True)
        same(found["ProfileSource"], "metadata", "source of the profile for the next daemon")
        for wrong in ("none-such", "../x", "x\x1b"):
            try:
                bus.text("set-profile", "vm", wrong)
                raise AssertionError(f"profile {wrong!r} was accepted")
            except CtlError as e:
                same(e.code, 2, f"exit status for profile {wrong!r} ({e})")


run(persistent_profile_travels, transient_domain_has_one_for_its_life)
