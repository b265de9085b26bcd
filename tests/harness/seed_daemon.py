# SPDX-License-Identifier: LGPL-2.1-or-later
"""The patched QEMU beside a migrationd on this machine, whose KVM does not have write-protect-all: both refuse it with
the reason, and nothing has changed."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import paths
from .bus import Bus, CtlError
from .case import check, same
from .pair import Pair, Qemu
from .qmp import QmpError

NAME = "vm"
CAPABILITY = "x-write-protect-all"
MECHANISM = "write-protect-all"
# What this host's KVM has is not known to migrationd then, and QEMU's word counts.
HIDE = ("unshare", "--mount", "--propagation", "private", "sh", "-c",
        'mount --bind /dev/null /dev/kvm; exec "$@"', "sh")
FAIL_AT = (1, 3)
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


def fails(program: Path, at: int):
    """The kernel fails to protect at that sync: so does the migration, with the message, and the guest runs on."""
    shim = paths.program("tests/shim/fail-protect.so")
    with Broken(program, {"LD_PRELOAD": shim, "MIGD_FAIL_AT": str(at)}) as pair:
        pair.set_capabilities(x_write_protect_all=True)
        pair.migrate()
        info = pair.wait_end(60)
        same(info["status"], "failed", f"status after a failure at sync {at}")
        check("KVM_WRITE_PROTECT_ALL failed to protect" in info.get("error-desc", ""), f"no reason: {info}")
        same(pair.source.qmp.command("query-status")["status"], "running", "the guest")
        first = pair.source.console.last
        last = pair.source.console.wait(lambda c: c.last if c.last.up >= first.up + 300 else None, 30, "report")
        check(last.done > first.done and not last.wrong, f"the guest is damaged or stands still: {last}")
        check("Aborted" not in pair.source.stderr() and pair.source.alive(), pair.source.stderr())


class Broken(Pair):
    """Its source has a KVM that is not what it says."""

    def __init__(self, program: Path, environment: dict):
        super().__init__("ws=32 rate=60", bandwidth_mib=40)
        self.program, self.environment = str(program), environment

    def _qemu(self, name: str, **options) -> Qemu:
        broken = {} if "incoming" in options else {"environment": self.environment}
        return Qemu(self.directory, name, "kvm", self.memory_mib, self.append, **options, **broken,
                    extra=("-uuid", self.uuid), program=self.program)


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
            for at in FAIL_AT:
                fails(program, at)
        except AssertionError as e:
            return [f"refusals: {e}"]
    say(f"refusals: {len(REFUSALS)} of QEMU, 2 of migrationd, each with its reason and nothing changed; a kernel that "
        f"fails at sync {' or '.join(map(str, FAIL_AT))}: the migration fails, the guest runs on")
    return []
