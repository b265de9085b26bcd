# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host is emptied: all that runs there goes to the other one, so many at a time, and nothing else is touched."""

import subprocess

from harness.bus import Bus
from harness.case import check, needs_kvm, run, same
from harness.site import PLATEAU, Site, check_arrival, trace

WHY = "under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last"
EASY = "ws=8 rate=2 touch=24"
SPEED_MIB = 40


def span(bus: Bus, migration: str) -> tuple[int, int]:
    """Its begin and its end, µs. While it waits in the queue it has no trace."""
    return tuple(trace(bus, migration, kind)[0]["t_us"] for kind in ("start", "finish"))


def a_host_is_emptied():
    needs_kvm(WHY)
    with Site() as site:
        bus = site.start_daemon()
        site.start_daemon(site.b)
        guests = [site.start(name, append, speed_mib=SPEED_MIB)
                  for name, append in (("one", EASY), ("plateau", PLATEAU), ("two", EASY), ("three", EASY))]
        stays = site.start("elsewhere", EASY, site.b)
        for guest in guests:
            bus.wait_domain(guest.name)
            guest.listen(site.b)
        out = bus.text("evacuate", site.b.uri, "--wait", "--at-once=2")
        for guest in guests:
            check(f"{guest.name}: succeeded" in out, out)
            check_arrival(guest, bus.max_downtime_ms())
        same(site.a.virsh("list", "--name").split(), [], "what runs on the host that was to be empty")
        same(sorted(site.b.virsh("list", "--name").split()), sorted(g.name for g in [*guests, stays]), "on the other")
        stays.runs_on()
        spans = [span(bus, m["Id"]) for m in bus.json("status")]
        same(len(spans), len(guests), "migrations")
        most = max(sum(begin <= at < end for begin, end in spans) for at, _ in spans)
        check(most <= 2, f"{most} at a time, 2 asked for")


def who_cannot_go_holds_nobody_up():
    """The other host has a guest of the same name: libvirt refuses that one, and the others arrive."""
    with Site() as site:
        bus = site.start_daemon()
        guests = [site.start(name, EASY, speed_mib=SPEED_MIB) for name in ("first", "taken", "last")]
        site.start("taken", EASY, site.b)
        for guest in guests:
            bus.wait_domain(guest.name)
        for guest in (guests[0], guests[2]):
            guest.listen(site.b)
        process = bus.popen("evacuate", site.b.uri, "--wait", stdout=subprocess.PIPE, text=True)
        out, _ = process.communicate(timeout=120)
        same(process.returncode, 1, f"exit status: one has failed ({out})")
        check("first: succeeded" in out and "last: succeeded" in out and "taken: failed" in out, out)
        guests[1].runs_on()
        same(site.a.virsh("list", "--name").split(), ["taken"], "what is left")


run(a_host_is_emptied, who_cannot_go_holds_nobody_up)
