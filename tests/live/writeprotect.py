# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a guest's writes are tracked: known and proven for real QEMUs, whatever they were asked to do."""

import fcntl
import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import paths
from harness.bus import Bus, CtlError
from harness.case import check, needs_kvm, run, same
from harness.pair import Qemu

NAME = "vm"
KVM_CHECK_EXTENSION = 0xAE03
BITMAPS = {3: "manual-protect+initially-set", 1: "manual-protect"}
WHY = "a guest of KVM is looked at"


@contextmanager
def guest(accel: str, name: str = NAME, **options) -> Iterator[tuple[Bus, Qemu]]:
    """One idle guest with that accelerator, and a migrationd that has found it."""
    with Bus() as bus, tempfile.TemporaryDirectory(prefix="migd-wp-") as directory:
        qemu = Qemu(directory, name, accel, 64, "ws=1 rate=0", qmp_dir=bus.qmp_dir, **options)
        try:
            bus.start_daemon()
            bus.wait_domain(name)
            yield bus, qemu
        finally:
            qemu.close()


def host() -> dict[int, int]:
    """The answers of this machine's /dev/kvm, asked for by ourselves."""
    fd = os.open("/dev/kvm", os.O_RDWR)
    try:
        return {number: fcntl.ioctl(fd, KVM_CHECK_EXTENSION, number) for number in (168, 192, 223, 225)}
    finally:
        os.close(fd)


def rings(qemu: Qemu) -> list[int]:
    """The entries of each ring that the process has mapped."""
    found = re.findall(r"^(\w+)-(\w+) \S+ 00040000 .*kvm-vcpu", Path(f"/proc/{qemu.process.pid}/maps").read_text(),
                       re.MULTILINE)
    return [(int(end, 16) - int(begin, 16)) // 16 for begin, end in found]


def wait_evidence(bus: Bus, word: str) -> dict:
    """The process is looked at a moment after the domain is known."""
    end = time.monotonic() + 10
    while word not in (domain := bus.json("write-protect", NAME))["WriteProtectEvidence"]:
        check(time.monotonic() < end, f"no evidence {word} in {domain['WriteProtectEvidence']}")
        time.sleep(0.05)
    return domain


def shows(domain: dict, active: str, present: set, absent: set):
    evidence = set(domain["WriteProtectEvidence"])
    same(domain["WriteProtect"], active, "mechanism")
    check(present <= evidence, f"evidence {present - evidence} is missing: {evidence}")
    check(not absent & evidence, f"evidence {absent & evidence} is wrong")
    check(active in domain["WriteProtectAvailable"], "what is active is not among what is available")


def host_is_told_as_it_is():
    needs_kvm(WHY)
    with Bus() as bus:
        bus.start_daemon()
        told = bus.json("capabilities")["Host"]
        real = host()
        same(told["Known"], True, "Known")
        same((told["ManualProtect"], told["InitiallySet"]), (bool(real[168] & 1), bool(real[168] & 2)), "168")
        same(told["DirtyRingEntries"], max(real[192], real[223], 0) // 16, "entries of a ring")
        same(told["DirtyRingBitmap"], real[225] > 0, "capability 225")
        for key, name in (("EagerPageSplit", "eager_page_split"), ("TdpMmu", "tdp_mmu")):
            path = Path("/sys/module/kvm/parameters") / name
            word = {"Y": "on", "N": "off"}[path.read_text().strip()] if path.exists() else "unknown"
            same(told[key], word, name)
        check("Dirty ring" in bus.text("capabilities"), "no table of the host")


def kvm_without_a_ring():
    needs_kvm(WHY)
    with guest("kvm") as (bus, qemu):
        domain = wait_evidence(bus, "no-ring-mapping")
        same(rings(qemu), [], "rings mapped")
        shows(domain, BITMAPS.get(host()[168], "legacy"),
              {"accelerator", "qmp-dirty-limit", "host-capability", "inferred"}, {"ring-refused", "ring-mapping"})
        same(domain["DirtyRingEntries"], 0, "entries")
        same(domain["WriteProtectNextBoot"], "unknown", "next boot of a QEMU that somebody else starts")


def kvm_with_a_ring():
    needs_kvm(WHY)
    with guest("kvm,dirty-ring-size=8192") as (bus, qemu):
        domain = wait_evidence(bus, "ring-mapping")
        same(rings(qemu), [8192], "rings mapped")
        shows(domain, "dirty-ring", {"accelerator", "qmp-dirty-limit", "command-line"}, {"inferred", "ring-refused"})
        same(domain["DirtyRingEntries"], 8192, "entries")
        check("dirty-ring" in bus.text("write-protect", NAME), "not said to people")


def ring_is_seen_by_its_thread():
    """With named threads; the name of the guest must not deceive."""
    needs_kvm(WHY)
    with guest("kvm,dirty-ring-size=1024", extra=("-name", f"{NAME},debug-threads=on")) as (bus, _):
        shows(wait_evidence(bus, "ring-mapping"), "dirty-ring", {"ring-thread"}, {"inferred"})


def ring_asked_for_and_refused():
    """What is active counts, not what was asked for."""
    needs_kvm(WHY)
    shim = paths.program("tests/shim/refuse-ring.so")
    with guest("kvm,dirty-ring-size=4096", environment={"LD_PRELOAD": shim}) as (bus, qemu):
        check("dirty ring not available" in qemu.stderr(), f"QEMU was not refused: {qemu.stderr()}")
        domain = wait_evidence(bus, "no-ring-mapping")
        same(rings(qemu), [], "rings mapped")
        shows(domain, BITMAPS.get(host()[168], "legacy"), {"command-line", "ring-refused", "inferred"},
              {"ring-mapping", "ring-thread"})
        same(domain["DirtyRingEntries"], 0, "entries")


def tcg():
    with guest("tcg") as (bus, qemu):
        domain = bus.json("write-protect", NAME)
        shows(domain, "none", {"accelerator"}, {"inferred", "ring-refused"})
        same(domain["WriteProtectAvailable"], ["none"], "available")
        refuses(bus, "dirty-ring", "without KVM")
        for mode in ("dirty-bitmap", "dirty-ring"):  # QEMU before 9.1 dies of these without KVM
            try:
                bus.text("dirty-rate", NAME, f"--mode={mode}")
            except CtlError as e:
                check("KVM" in str(e), f"refused without the reason: {e}")
            else:
                raise AssertionError(f"{mode} was measured without KVM")
        check(qemu.alive(), "QEMU has died of a measurement")


def refuses(bus: Bus, mechanism: str, word: str, *options: str):
    before = bus.json("write-protect", NAME)
    try:
        bus.text("write-protect", NAME, mechanism, "--enable", *options)
    except CtlError as e:
        check(word in str(e), f"refused without the reason: {e}")
    else:
        raise AssertionError(f"{mechanism} was turned on")
    same(bus.json("write-protect", NAME), before, "the guest after the refusal")


def what_cannot_be_done_is_said():
    needs_kvm(WHY)
    with guest("kvm") as (bus, _):
        wait_evidence(bus, "no-ring-mapping")
        refuses(bus, "dirty-ring", "dirty-ring-size=4096")
        refuses(bus, "write-protect-all", "x-write-protect-all")
        refuses(bus, "fastest", "fastest")
        refuses(bus, "dirty-ring", "power of two", "--entries=5000")
        refuses(bus, "dirty-ring", "power of two", "--entries=512")
        same(bus.json("write-protect", NAME, "--enable"),
             {"Mechanism": bus.json("write-protect", NAME)["WriteProtect"], "Effective": "now"}, "the best is in use")


def wait_gone(bus: Bus):
    end = time.monotonic() + 10
    while bus.json("list"):
        check(time.monotonic() < end, "the domain of a dead QEMU is still there")
        time.sleep(0.02)


def one_that_dies_while_it_is_looked_at():
    """Stopped before it has answered anything, then killed: the next one of that name is itself."""
    needs_kvm(WHY)
    with Bus() as bus, tempfile.TemporaryDirectory(prefix="migd-wp-") as directory:
        bus.start_daemon()
        qemu = Qemu(directory, NAME, "kvm,dirty-ring-size=4096", 64, "ws=1 rate=0", qmp_dir=bus.qmp_dir)
        try:
            bus.wait_domain(NAME)
            for moment in range(20):  # it dies at another place of the inspection each time
                qemu.process.send_signal(signal.SIGSTOP)
                bus.kill_daemon()
                bus.start_daemon()
                time.sleep(moment * 0.001)  # not an order of events: any is fine
                qemu.process.send_signal(signal.SIGCONT if moment % 2 else signal.SIGKILL)
                qemu.kill()
                wait_gone(bus)
                check(bus.daemon.poll() is None, "migrationd has died, too")
                qemu.close()
                accel = "kvm" if moment % 2 else "kvm,dirty-ring-size=4096"
                qemu = Qemu(directory, NAME, accel, 64, "ws=1 rate=0", qmp_dir=bus.qmp_dir)
                bus.wait_domain(NAME)
                word = "no-ring-mapping" if moment % 2 else "ring-mapping"
                same(wait_evidence(bus, word)["WriteProtect"] == "dirty-ring", not moment % 2, "ring of the next one")
        finally:
            qemu.close()


run(host_is_told_as_it_is, kvm_without_a_ring, kvm_with_a_ring, ring_is_seen_by_its_thread, ring_asked_for_and_refused,
    tcg, what_cannot_be_done_is_said, one_that_dies_while_it_is_looked_at)
