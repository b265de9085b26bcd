# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fast write protect of libvirt domains: what they use, and the ring that goes into their definition and out again."""

import difflib
import time

from harness.bus import Bus, CtlError
from harness.case import check, needs_kvm, run, same
from harness.domain import Domain
from harness.site import Site

NAME = "vm"
APPEND = "ws=1 rate=0"


def wait_shown(bus: Bus, name: str, evidence: str) -> dict:
    """Waits until that evidence has been seen."""
    end = time.monotonic() + 10
    while evidence not in (domain := bus.json("write-protect", name))["WriteProtectEvidence"]:
        check(time.monotonic() < end, f"no {evidence} for {name}: {domain['WriteProtectEvidence']}")
        time.sleep(0.05)
    return domain


def definition(domain: Domain) -> list[str]:
    return domain.host.virsh("dumpxml", "--inactive", "--security-info", domain.name).splitlines()


def changes(before: list[str], after: list[str]) -> list[str]:
    return [line for line in difflib.ndiff(before, after) if line[0] in "+-"]


def ring_into_the_definition_and_out_again():
    needs_kvm("rings are KVM's")
    with Site() as site:
        bus = site.start_daemon(monitor=False)
        domain = site.start(NAME, APPEND, persistent=True)
        found = wait_shown(bus, NAME, "no-ring-mapping")
        plain = found["WriteProtect"]
        check(plain != "dirty-ring", "a ring that nobody asked for")
        check("dirty-ring" in found["WriteProtectAvailable"], "no ring to be had")
        same(found["WriteProtectNextBoot"], plain, "next boot")
        before = definition(domain)
        live = site.a.virsh("dumpxml", NAME)

        answer = bus.json("write-protect", NAME, "dirty-ring", "--enable", "--entries=8192")
        same(answer, {"Mechanism": "dirty-ring", "Effective": "next-boot"}, "answer")
        with_ring = definition(domain)
        same([line[2:].strip() for line in changes(before, with_ring)],
             ["<kvm>", "<dirty-ring state='on' size='8192'/>", "</kvm>"], "changes of the definition")
        same(all(line[0] == "+" for line in changes(before, with_ring)), True, "lines are added, none is taken away")
        same(site.a.virsh("dumpxml", NAME), live, "what runs")
        found = bus.json("write-protect", NAME)
        same((found["WriteProtect"], found["WriteProtectNextBoot"]), (plain, "dirty-ring"), "now and next")
        same(found["Tainted"], False, "tainted")

        bus.json("write-protect", NAME, "dirty-ring", "--enable", "--entries=16384")
        same([line.strip() for line in changes(with_ring, definition(domain)) if line[0] == "+"],
             ["+       <dirty-ring state='on' size='16384'/>"], "change to another size")

        domain.host.virsh("destroy", NAME)
        domain.listen(domain.host)
        domain.host.virsh("start", NAME)
        found = wait_shown(bus, NAME, "ring-mapping")
        same((found["WriteProtect"], found["DirtyRingEntries"]), ("dirty-ring", 16384), "after the cold start")
        check("domain-xml" in found["WriteProtectEvidence"], "the XML is no evidence")

        answer = bus.json("write-protect", NAME, plain, "--enable")
        same(answer, {"Mechanism": plain, "Effective": "next-boot"}, "answer to the undo")
        same(changes(before, definition(domain)), [], "changes after the undo")
        same(bus.json("write-protect", NAME)["WriteProtectNextBoot"], plain, "next boot after the undo")


def refused_without_half_a_change():
    needs_kvm("rings are KVM's")
    with Site() as site:
        bus = site.start_daemon(monitor=False)
        domain = site.start("passing", APPEND)
        wait_shown(bus, "passing", "no-ring-mapping")
        live = site.a.virsh("dumpxml", "passing")
        for mechanism, words in (("dirty-ring", "nobody here decides"), ("write-protect-all", "x-write-protect-all")):
            try:
                bus.text("write-protect", "passing", mechanism, "--enable")
            except CtlError as e:
                check(words in str(e), f"refused without the reason: {e}")
            else:
                raise AssertionError(f"{mechanism} was turned on for a domain without a definition")
        same(site.a.virsh("dumpxml", "passing"), live, "what runs")
        same(domain.state(), "running", "state")


def another_process_number():
    """libvirt's file with the number of a process is wrong, as after a crash: the wrong process tells nothing."""
    needs_kvm("rings are KVM's")
    with Site() as site:
        bus = site.start_daemon(monitor=False)
        site.start("plain", APPEND, persistent=True)
        site.start("ringed", APPEND, persistent=True)
        bus.json("write-protect", "ringed", "dirty-ring", "--enable")
        site.a.virsh("destroy", "ringed")
        site.domains[-1].listen(site.a)
        site.a.virsh("start", "ringed")
        wait_shown(bus, "ringed", "ring-mapping")
        wait_shown(bus, "plain", "no-ring-mapping")

        files = site.a.directory / "run/libvirt/qemu"
        own = (files / "plain.pid").read_text()
        (files / "plain.pid").write_text((files / "ringed.pid").read_text())
        bus.kill_daemon()
        site.start_daemon(monitor=False)
        wait_shown(bus, "ringed", "ring-mapping")
        found = wait_shown(bus, "plain", "inferred")
        check(found["WriteProtect"] != "dirty-ring", "the other's ring")
        check(not {"ring-mapping", "no-ring-mapping", "ring-thread"} & set(found["WriteProtectEvidence"]),
              f"evidence of another process: {found['WriteProtectEvidence']}")
        (files / "plain.pid").write_text(own)


run(ring_into_the_definition_and_out_again, refused_without_half_a_change, another_process_number)
