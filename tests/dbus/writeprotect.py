# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fast write protect at run time: a QEMU that shows the capability x-write-protect-all, and what comes of asking for
it. The peers are made up; that a real one refuses where its kernel cannot is in scripts/lab seed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.bus import Bus, CtlError
from harness.case import Skip, check, run, same
from harness.fake_qemu import FakeHost, FakeQemu

NAME = "vm"
MECHANISM = "write-protect-all"
CAPABILITY = "x-write-protect-all"
REFUSAL = "x-write-protect-all is not available: this host's KVM cannot write-protect all memory at once"
# /dev/kvm is somebody else for migrationd: what this host's KVM has is not known, and QEMU's word counts.
HIDE = ("unshare", "--mount", "--propagation", "private", "sh", "-c",
        'mount --bind /dev/null /dev/kvm; exec "$@"', "sh")


class Peer:
    """What a fake QEMU was asked to set, and what it answers to that."""

    def __init__(self, peer: FakeQemu, refuses: bool):
        self.peer = peer
        self.asked: list[list[dict]] = []
        self.refuses = refuses
        peer.capabilities[CAPABILITY] = False
        self._answer, peer.answer = peer.answer, self.answer

    def answer(self, request: dict) -> dict:
        if request.get("execute") == "migrate-set-capabilities":
            self.asked.append(request["arguments"]["capabilities"])
            if self.refuses:
                return {"error": {"class": "GenericError", "desc": REFUSAL}, "id": request.get("id")}
        return self._answer(request)


@contextmanager
def scene(refuses: bool = False, within: tuple[str, ...] = HIDE) -> Iterator[tuple[Bus, Peer]]:
    if within and os.geteuid() != 0:
        raise Skip("hiding /dev/kvm takes root")
    if not Path("/dev/kvm").exists():
        within = ()  # nothing to hide
    with Bus(within) as bus:
        host = FakeHost(bus.qmp_dir, [NAME])
        try:
            peer = Peer(host.peers[0], refuses)
            bus.start_daemon()
            bus.wait_domain(NAME)
            yield bus, peer
        finally:
            bus.stop_daemon()
            host.close()


def shown(bus: Bus) -> dict:
    return bus.json("write-protect", NAME)


def refused(bus: Bus, words: str, *options: str):
    before = shown(bus)
    try:
        bus.text("write-protect", NAME, *options, "--enable")
    except CtlError as e:
        check(words in str(e), f"refused without the reason: {e}")
    else:
        raise AssertionError("it was turned on")
    same(shown(bus), before, "the guest after the refusal")


def turned_on_at_once():
    with scene() as (bus, peer):
        check(MECHANISM in shown(bus)["WriteProtectAvailable"], f"not available: {shown(bus)}")
        same(bus.json("write-protect", NAME, MECHANISM, "--enable"), {"Mechanism": MECHANISM, "Effective": "now"},
             "answer")
        same(peer.asked, [[{"capability": CAPABILITY, "state": True}]], "what QEMU was asked")
        same(peer.peer.capabilities[CAPABILITY], True, "the capability")
        found = shown(bus)
        same(found["WriteProtect"], MECHANISM, "mechanism")
        check("qmp-capability" in found["WriteProtectEvidence"], f"evidence {found['WriteProtectEvidence']}")
        same(bus.json("write-protect", NAME, MECHANISM, "--enable"), {"Mechanism": MECHANISM, "Effective": "now"},
             "answer to asking again")
        same(len(peer.asked), 1, "commands after asking again")
        bus.kill_daemon()
        bus.start_daemon()
        bus.wait_domain(NAME)
        same(shown(bus)["WriteProtect"], MECHANISM, "mechanism, as the next daemon finds it")


def a_refusal_is_told_and_changes_nothing():
    with scene(refuses=True) as (bus, peer):
        refused(bus, "this host's KVM cannot write-protect all memory at once", MECHANISM)
        same(peer.asked, [[{"capability": CAPABILITY, "state": True}]], "what QEMU was asked")
        same(peer.peer.capabilities[CAPABILITY], False, "the capability")


def a_kernel_without_it_is_not_even_tried():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skip("/dev/kvm does not open")
    with scene(within=()) as (bus, peer):
        if bus.json("capabilities")["Host"]["WriteProtectAll"]:
            raise Skip("this host's KVM has it")
        check(MECHANISM not in shown(bus)["WriteProtectAvailable"], "available without the kernel's half")
        refused(bus, "this host's KVM does not have it", MECHANISM)
        same(peer.asked, [], "what QEMU was asked")


run(turned_on_at_once, a_refusal_is_told_and_changes_nothing, a_kernel_without_it_is_not_even_tried)
