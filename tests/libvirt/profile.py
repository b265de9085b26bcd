# SPDX-License-Identifier: LGPL-2.1-or-later
"""A profile that is given to a domain persistently travels with it."""

from gi.repository import Gio, GLib

from harness.bus import NAME, Bus
from harness.case import check, run, same
from harness.site import CONVERGING, Site

ELEMENT = "urn:migrationd:policy:1"


def set_profile(bus: Bus, domain: str, profile: str, persistent: bool):
    connection = bus.connection()
    path = bus.wait_domain(domain)["Object"]
    connection.call_sync(NAME, path, "org.migrationd1.Domain", "SetProfile",
                         GLib.Variant("(sa{sv})", (profile, {"persistent": GLib.Variant("b", persistent)})), None,
                         Gio.DBusCallFlags.NONE, 10000, None)


def persistent_profile_travels():
    with Site() as site:
        buses = [site.start_daemon(host) for host in (site.a, site.b)]
        domain = site.start("vm", CONVERGING, persistent=True)
        same(buses[0].wait_domain("vm")["Profile"], "default", "profile before")
        set_profile(buses[0], "vm", "gentle", persistent=True)
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


run(persistent_profile_travels)
