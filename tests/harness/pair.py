# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two QEMUs on one machine and the test guest in the first: the source, and the destination that waits for it."""

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from . import paths
from .guest import Console, Verdict, verify_arrival
from .link import Link, Schedule
from .process import favour, spawn
from .qmp import Qmp, QmpLost
from .tap import Tap

MIB = 1 << 20
QEMU = "qemu-system-x86_64"
ENDS = ("completed", "failed", "cancelled")


def accelerator() -> str:
    """kvm where /dev/kvm opens, else tcg. MIGD_ACCEL overrides."""
    if forced := os.environ.get("MIGD_ACCEL"):
        return forced
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
        return "kvm"
    except OSError:
        return "tcg"


class Qemu:
    """One QEMU process. `qmp` is our own monitor; the one for migrationd is qmp_dir/NAME.qmp, if asked for."""

    def __init__(self, directory: str, name: str, accel: str, memory_mib: int, append: str,
                 incoming: str | None = None, qmp_dir: str | None = None, extra: tuple = (),
                 environment: dict | None = None, program: str = QEMU):
        self.name = name
        self.sockets = [f"{directory}/{name}-admin.sock"]
        self.console = Console(f"{directory}/{name}-console.sock")
        self.stderr_path = f"{directory}/{name}.stderr"
        args = [program, "-name", name, "-nodefaults", "-no-user-config", "-display", "none",
                "-machine", "pc", "-accel", accel, "-m", str(memory_mib),
                "-smp", "2" if "reader=1" in append.split() else "1",
                "-kernel", paths.guest(), "-append", append,
                "-chardev", f"socket,id=console,path={self.console.path}",
                "-device", "isa-debugcon,chardev=console"]
        if paths.QBOOT.exists():  # ten times as fast as SeaBIOS where instructions are emulated
            args += ["-bios", str(paths.QBOOT)]
        if qmp_dir:
            self.sockets.append(f"{qmp_dir}/{name}.qmp")
        for path in self.sockets:
            args += ["-qmp", f"unix:{path},server=on,wait=off"]
        if incoming:
            args += ["-incoming", incoming]
        with open(self.stderr_path, "wb") as stderr:
            self.process = spawn([*args, *extra], stdout=stderr, stderr=stderr, env=os.environ | (environment or {}))
        favour(self.process)  # the guest never catches up: what else runs here must not slow it
        try:
            self.qmp = Qmp(self.sockets[0])
        except QmpLost as e:
            self.close()
            raise RuntimeError(f"{name}: QEMU did not start: {self.stderr()}") from e

    def stderr(self) -> str:
        return Path(self.stderr_path).read_text(errors="replace").strip()

    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self):
        """As a crash would: SIGKILL."""
        self.process.kill()
        self.process.wait()

    def close(self):
        if hasattr(self, "qmp"):
            self.qmp.close()
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self.console.close()
        for path in self.sockets:
            if os.path.exists(path):
                os.unlink(path)


class Pair:
    """A running guest and a place to go. Use it as a context manager: nothing is left behind. `tapped`: what migrationd
    sends to the source is kept in `tap`. `link`: how fast the way to the destination is, from the connection on."""

    def __init__(self, append: str, name: str = "vm", memory_mib: int = 0, qmp_dir: str | None = None,
                 bandwidth_mib: int = 0, tapped: bool = False, link: Schedule | None = None,
                 ring: int = 0):
        self.append = append
        self.name = name
        self.accel = accelerator()
        self.bandwidth_mib = bandwidth_mib
        self.ring = ring  # entries of each vCPU's dirty ring; 0 = none
        self.directory = tempfile.mkdtemp(prefix="migd-pair-")
        self.qmp_dir = qmp_dir
        self.tapped = tapped
        self.tap: Tap | None = None
        words = dict(w.split("=", 1) for w in append.split())
        self.touched = (int(words.get("ws", 64)) + int(words.get("touch", 0))) * MIB
        self.memory_mib = memory_mib or self.touched // MIB + 32
        self.uuid = str(uuid.uuid4())
        self.incoming = f"unix:{self.directory}/incoming.sock"
        self.schedule = link
        self.link: Link | None = None
        self.uri = f"unix:{self.directory}/link.sock" if link else self.incoming
        self.source: Qemu | None = None
        self.destination: Qemu | None = None

    def __enter__(self):
        try:
            self.source = self._qemu(self.name, qmp_dir=self.directory if self.tapped else self.qmp_dir)
            if self.tapped:
                self.tap = Tap(f"{self.qmp_dir}/{self.name}.qmp", f"{self.directory}/{self.name}.qmp")
            self.start_destination()
            if self.schedule:
                self.link = Link(f"{self.directory}/link.sock", f"{self.directory}/incoming.sock", self.schedule)
            self.source.console.wait(lambda c: c.last, 60, "first report")
            self.set_parameters(max_bandwidth=self.bandwidth_mib * MIB)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _qemu(self, name: str, **options) -> Qemu:
        accel = f"{self.accel},dirty-ring-size={self.ring}" if self.ring else self.accel
        return Qemu(self.directory, name, accel, self.memory_mib, self.append,
                    extra=("-uuid", self.uuid), **options)

    def start_destination(self):
        """A fresh destination: QEMU's one ends with each attempt that fails."""
        if self.destination:
            self.destination.close()
        self.destination = self._qemu(f"{self.name}-destination", incoming=self.incoming)

    def close(self):
        for qemu in (self.source, self.destination):
            if qemu:
                qemu.close()
        for relay in (self.tap, self.link):
            if relay:
                relay.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def set_parameters(self, **parameters):
        self.source.qmp.command("migrate-set-parameters", **parameters)

    def parameters(self) -> dict:
        return self.source.qmp.command("query-migrate-parameters")

    def set_capabilities(self, **capabilities: bool):
        self.source.qmp.command("migrate-set-capabilities", capabilities=[
            {"capability": k.replace("_", "-"), "state": v} for k, v in capabilities.items()])

    def capabilities(self) -> dict[str, bool]:
        return {c["capability"]: c["state"] for c in self.source.qmp.command("query-migrate-capabilities")}

    def migrate(self):
        """Starts a migration the way a script would, behind migrationd's back."""
        self.set_capabilities(events=True)
        self.source.qmp.command("migrate", uri=self.uri)

    def info(self) -> dict:
        return self.source.qmp.command("query-migrate")

    def wait_end(self, timeout: float, on_pass=None) -> dict:
        """Follows the migration; `on_pass(info)` after each dirty sync. Returns the last query-migrate; its status
        is one of ENDS unless the time ran out."""
        end = time.monotonic() + timeout
        while True:
            event = self.source.qmp.next_event(min(0.25, max(end - time.monotonic(), 0.001)))
            info = self.info()
            if info.get("status") == "completed" and not info.get("total-time"):
                continue  # QEMU says completed a moment before it knows the figures
            if info.get("status") in ENDS or time.monotonic() > end:
                return info
            if on_pass and event and event["event"] == "MIGRATION_PASS" and "ram" in info:
                on_pass(info)

    def cancel(self, timeout: float = 10) -> dict:
        self.source.qmp.command("migrate_cancel")
        return self.wait_end(timeout)

    def gap_ms(self) -> float:
        """From the guest's last sign of life at the source to its first one at the destination."""
        self.destination.console.wait(lambda c: c.first_beat, 30, "sign of life at the destination")
        return max(0.0, self.destination.console.first_beat - self.source.console.last_beat) * 1000

    def qemu_version(self) -> int:
        return self.source.qmp.command("query-version")["qemu"]["major"]

    def unchecked(self) -> str:
        """Why the memory of an arrived guest proves nothing here; "" where it does."""
        if self.accel == "tcg" and self.qemu_version() < 9:
            return "QEMU before 9 loses dirty pages under TCG"
        return ""

    def verify_destination(self, timeout: float = 60) -> Verdict:
        """Waits for one whole sweep over the guest's memory that began after it arrived."""
        return verify_arrival(self.source.console.last, self.destination.console, self.unchecked(), timeout)
