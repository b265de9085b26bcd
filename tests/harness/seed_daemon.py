# SPDX-License-Identifier: LGPL-2.1-or-later
"""The patched QEMU beside a migrationd on this machine, whose KVM does not have write-protect-all: both refuse it with
the reason, and nothing has changed."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from .bus import Bus, CtlError
from .case import check, same
from .pair import Qemu
from .qmp import QmpError

NAME = "vm"
CAPABILITY = "x-write-protect-all"
MECHANISM = "write-protect-all"
# What this host's KVM has is not known to migrationd then, and QEMU's word counts.
HIDE = ("unshare", "--mount", "--propagation", "private", "sh", "-c",
        'mount --bind /dev/null /dev/kvm; exec "$@"', "sh")
REFUSALS = {"kvm": "this host's KVM cannot write-protect all memory at once",
            "kvm,dirty-ring-size=4096": "with a dirty ring there is no dirty log to write-protect all memory for",
            "tcg": "this accelerator cannot write-protect all memory at once"}


def capabilities(qemu: Qemu) -> dict[str, bool]:
    return {c["capability"]: c["state"] for c in qemu.qmp.command("query-migrate-capabilities")}


def by_qemu(directory: str, program: Path, accel: str, words: str):
    """Together with a capability that could be set: neither is."""
    qemu = Qemu(directory, NAME, accel, 64, "ws=1 rate=0", program=str(program))
    try:
        before = capabilities(qemu)
        same(before[CAPABILITY], False, "the capability at first")
        try:
            qemu.qmp.command("migrate-set-capabilities", capabilities=[
                {"capability": "auto-converge", "state": True}, {"capability": CAPABILITY, "state": True}])
        except QmpError as e:
            check(words in str(e), f"QEMU ({accel}) refused without the reason: {e}")
        else:
            raise AssertionError(f"QEMU ({accel}) has taken it")
        same(capabilities(qemu), before, "capabilities after the refusal")
    finally:
        qemu.close()


def by_daemon(directory: str, program: Path, within: tuple[str, ...], words: str):
    with Bus(within) as bus:
        qemu = Qemu(directory, NAME, "kvm", 64, "ws=1 rate=0", qmp_dir=bus.qmp_dir, program=str(program))
        try:
            bus.start_daemon()
            bus.wait_domain(NAME)
            before = capabilities(qemu)
            try:
                bus.text("write-protect", NAME, MECHANISM, "--enable")
            except CtlError as e:
                check(words in str(e), f"migrationd refused without the reason: {e}")
            else:
                raise AssertionError("migrationd has turned it on")
            same(capabilities(qemu), before, "capabilities after the refusal")
            check(bus.json("write-protect", NAME)["WriteProtect"] != MECHANISM, "it is said to be active")
            check(qemu.alive(), "QEMU has died")
        finally:
            qemu.close()


def refusals(program: Path, say: Callable[[str], None]) -> list[str]:
    """Problems."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK) or os.geteuid() != 0:
        say("refusals: not tried, which takes /dev/kvm and root")
        return []
    with tempfile.TemporaryDirectory(prefix="migd-seed-") as directory:
        try:
            for accel, words in REFUSALS.items():
                by_qemu(directory, program, accel, words)
            by_daemon(directory, program, (), "this host's KVM does not have it")
            by_daemon(directory, program, HIDE, f"{CAPABILITY} is not available: {REFUSALS['kvm']}")
        except AssertionError as e:
            return [f"refusals: {e}"]
    say(f"refusals: {len(REFUSALS)} of QEMU, 2 of migrationd, each with its reason and nothing changed")
    return []
