# SPDX-License-Identifier: LGPL-2.1-or-later
"""Migrations of the test guest by the patched QEMU, with and without x-write-protect-all. Runs inside the laboratory,
where it prints a line of JSON for each; `migrations` packs it, boots the laboratory and returns the lines."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import paths, seed_qemu
from .guest import verify_arrival
from .lab import Lab, rows_of
from .pair import Pair, Qemu

MODES = ("legacy", "manual-protect+initially-set", "write-protect-all")
SCENES = {"fresh": "not mapped", "written": "pre-written"}
TRACED = ("global_dirty_changed", "migration_bitmap_sync_start", "migration_bitmap_sync_end", "kvm_write_protect_all")
STAMP = re.compile(r"\d+@(\d+)\.(\d+):(\w+)(?: .*took (\d+) us)?")
DATA = Path("usr/share/qemu")  # where a QEMU in usr/bin looks for firmware
FIRMWARE = ("bios-256k.bin", "kvmvapic.bin", "multiboot.bin", "multiboot_dma.bin", "linuxboot_dma.bin")
GUEST = "tests/guest/guest.elf"
SHIM = "tests/shim/refuse-manual.so"
NX = Path("/sys/module/kvm/parameters/nx_huge_pages")
# A guest that writes as fast as it can, over a link that carries less. MiB, MiB/s, ms, s.
LOAD = {"append": "ws=64 rate=4000", "memory_mib": 128, "bandwidth_mib": 40, "downtime_ms": 300, "timeout": 90}
# Write-protect-all is for KVM without the TDP MMU; the comparison is on the same grounds.
JOB = """export PATH=/usr/bin:/bin MIGD_BUILD=/build PYTHONPATH=/tests PYTHONDONTWRITEBYTECODE=1
echo N >/sys/module/kvm/parameters/tdp_mmu
/bin/busybox dmesg -c >/dev/null
python3 -m harness.seed_migration '{options}'
status=$?
/bin/busybox dmesg -r | /bin/busybox sed 's/^/kernel: /'
exit $status
"""


# ---- inside ------------------------------------------------------------------------------------


class TracedPair(Pair):
    """`legacy`: QEMU finds no manual dirty log protection."""

    def __init__(self, append: str, legacy: bool, **options):
        super().__init__(append, **options)
        self.environment = {"LD_PRELOAD": f"{paths.build()}/{SHIM}"} if legacy else {}

    def _qemu(self, name: str, **options) -> Qemu:
        is_source = "incoming" not in options
        extra = ["-uuid", self.uuid, "-no-reboot", "-msg", "timestamp=on"]
        if is_source:
            extra += [word for event in TRACED for word in ("-trace", event)]
        return Qemu(self.directory, name, "kvm", self.memory_mib, self.append, **options, extra=tuple(extra),
                    environment=self.environment)


def traced(text: str) -> list[tuple[int, str, int]]:
    """Time in us, event, and what it says that it took."""
    return [(int(s) * 10**6 + int(us), event, int(took or 0)) for s, us, event, took in STAMP.findall(text)]


def log_times(text: str) -> dict:
    """From what QEMU traced: the start of the log with its first sync, the syncs after it, and the longest call."""
    events = traced(text)
    start = next(t for t, event, _ in events if event == "global_dirty_changed")
    begins = [t for t, event, _ in events if event == "migration_bitmap_sync_start"]
    ends = [t for t, event, _ in events if event == "migration_bitmap_sync_end"]
    syncs = sorted(end - begin for begin, end in zip(begins[1:], ends[1:], strict=False))
    calls = [took for _, event, took in events if event == "kvm_write_protect_all"]
    return {"first_us": ends[0] - start, "sync_us": syncs[len(syncs) // 2] if syncs else None, "calls": len(calls),
            "call_us": max(calls, default=None)}


def unmap():
    """As in a guest that has just booted, none of its memory is mapped: KVM drops all of it when this is changed."""
    before = NX.read_text()
    NX.write_text("N" if before.startswith("Y") else "Y")
    NX.write_text(before)


def migrate(mode: str, scene: str, append: str, memory_mib: int, bandwidth_mib: int, downtime_ms: int,
            timeout: float) -> dict:
    with TracedPair(append, mode == "legacy", memory_mib=memory_mib, bandwidth_mib=bandwidth_mib) as pair:
        if mode == MODES[-1]:
            pair.set_capabilities(x_write_protect_all=True)
        pair.set_parameters(downtime_limit=downtime_ms)
        first = pair.source.console.last
        rates: list[int] = []
        if scene == "fresh":
            unmap()
        pair.migrate()
        info = pair.wait_end(timeout, lambda i: rates.append(i["ram"]["dirty-pages-rate"]))
        if info.get("status") != "completed":
            return {"status": info.get("status"), "error": info.get("error-desc"), "wrong": None,
                    "stderr": pair.source.stderr()[-500:]}
        last = pair.source.console.last
        try:
            verdict = verify_arrival(last, pair.destination.console, "", 240)
        except (RuntimeError, TimeoutError) as e:
            return {"status": "gone where it arrived", "error": str(e), "wrong": None,
                    "stderr": pair.destination.stderr()[-500:]}
        written, seconds = last.done - first.done, (last.up - first.up) / 1000
        return {"status": "completed", "total_ms": info["total-time"], "setup_ms": info["setup-time"],
                "downtime_ms": info["downtime"], "syncs": info["ram"]["dirty-sync-count"],
                "sent_pages": info["ram"]["normal"], "dirty_pages_s": max(rates, default=0),
                "written_pages_s": round(written / seconds) if seconds else None, "wrong": verdict.wrong,
                "why": verdict.reason, **log_times(pair.source.stderr())}


def inside(arguments: list[str]):
    options = json.loads(arguments[0])
    for _ in range(options.pop("repeats")):
        for scene in options["scenes"]:
            for mode in options["modes"]:
                begun = time.monotonic()
                rest = {k: v for k, v in options.items() if k not in ("scenes", "modes")}
                row = {"mode": mode, "scene": scene, **migrate(mode, scene, **rest)}
                print(json.dumps(row | {"took_s": round(time.monotonic() - begun, 1)}), flush=True)


# ---- outside -----------------------------------------------------------------------------------


def python_files() -> dict[str, Path]:
    """Python with what this module imports, and nothing else of it."""
    script = ("import sys, runpy, encodings.ascii, encodings.latin_1, encodings.idna, harness.seed_migration\n"
              "for m in list(sys.modules.values()):\n"
              "    for key in ('__file__', '__cached__'):\n"
              "        if f := getattr(m, key, None): print(f)\n")
    shown = subprocess.run(["/usr/bin/python3", "-B", "-c", script], check=True, capture_output=True, text=True,
                           env={"PYTHONPATH": str(paths.SOURCE / "tests")}).stdout
    files = {}
    for line in shown.splitlines():
        path = Path(line)
        if path.is_relative_to(paths.SOURCE):
            if path.suffix == ".py":
                files[str(path.relative_to(paths.SOURCE))] = path
            continue
        if not path.exists():
            continue
        files[str(path).lstrip("/")] = path
        if path.suffix == ".so":
            files |= needed(path)
    program = Path("/usr/bin/python3").resolve()
    return files | {"usr/bin/python3": program} | needed(program)


def needed(program: Path) -> dict[str, Path]:
    return {str(path).lstrip("/"): path for path in seed_qemu.libraries(program)}


def firmware() -> dict[str, Path]:
    files = {str(paths.QBOOT).lstrip("/"): paths.QBOOT} if paths.QBOOT.exists() else {}
    for name in FIRMWARE:
        found = [folder / name for folder in seed_qemu.FIRMWARE if (folder / name).exists()]
        if found:
            files[str(DATA / name)] = found[0]
    return files


def pack(qemu: Path) -> dict[str, Path]:
    setpriv = Path("/usr/bin/setpriv")
    return (python_files() | firmware() | needed(qemu) | needed(setpriv)
            | {"usr/bin/setpriv": setpriv, f"usr/bin/{seed_qemu.PROGRAM}": qemu}
            | {f"build/{name}": Path(paths.program(name)) for name in (GUEST, SHIM)})


def migrations(qemu: Path, modules: Path | None, options: dict, timeout: float = 1800,
               say: Callable[[str], None] = print) -> tuple[list[dict], str]:
    """One row a migration, and what the laboratory's console said."""
    job = JOB.format(options=json.dumps(options))
    say("the laboratory: migrations of a real QEMU")
    lab = Lab(memory_mib=options["memory_mib"] * 2 + 768, modules=modules, timeout=timeout)
    return rows_of(lab.run(job, {}, pack(qemu))), lab.log


# ---- what comes of it --------------------------------------------------------------------------


def median(rows: list[dict], name: str) -> float:
    values = sorted(row[name] for row in rows if row.get(name) is not None)
    return values[len(values) // 2] if values else float("nan")


def table(rows: list[dict]) -> str:
    """A line a mode and scene, medians; and how the last mode differs from the others."""
    out = ["| guest | mode | written, pages/s | to complete, ms | log starts, ms | a sync, ms | sent, pages | wrong |",
           "|---|---|---|---|---|---|---|---|"]
    for scene, title in SCENES.items():
        for mode in MODES:
            block = [row for row in rows if (row["scene"], row["mode"]) == (scene, mode)]
            if not block:
                continue
            wrong = [row["wrong"] for row in block]
            out.append(f"| {title} | {mode} | {median(block, 'written_pages_s'):.0f} | {median(block, 'total_ms'):.0f} "
                       f"| {median(block, 'first_us') / 1000:.1f} | {median(block, 'sync_us') / 1000:.2f} "
                       f"| {median(block, 'sent_pages'):.0f} | {', '.join(map(str, wrong))} |")
        out += compared(rows, scene)
    return "\n".join(out)


def compared(rows: list[dict], scene: str) -> list[str]:
    """In percent, positive where it is better for the guest or sooner, as in the original patches' own table."""
    out = []
    after = [row for row in rows if (row["scene"], row["mode"]) == (scene, MODES[-1])]
    for mode in MODES[:-1]:
        before = [row for row in rows if (row["scene"], row["mode"]) == (scene, mode)]
        if not before or not after:
            continue
        rate = 100 * (median(after, "written_pages_s") / median(before, "written_pages_s") - 1)
        time_ = 100 * (median(before, "total_ms") / median(after, "total_ms") - 1)
        out.append(f"| | against {mode} | {rate:+.0f} % | {time_:+.0f} % | | | | |")
    return out


def problems_of(rows: list[dict], wanted: int, log: str) -> list[str]:
    found = [f"{row['scene']}, {row['mode']}: {row}" for row in rows
             if row["status"] != "completed" or row["wrong"] != 0]
    if len(rows) != wanted:
        found.append(f"{len(rows)} migrations of {wanted} were made")
    for row in rows:
        if row["mode"] == MODES[-1] and row.get("calls", 0) < row.get("syncs", 1):
            found.append(f"{row['scene']}, {row['mode']}: {row['calls']} calls of the kernel for {row['syncs']} syncs")
    return found + [f"the kernel says: {line}" for line in log.splitlines() if "WARNING" in line or "BUG" in line]


def measured(modules: Path, qemu: Path, repeats: int, timeout: float, say: Callable[[str], None]) -> list[str]:
    """Problems; what was measured is said."""
    options = {"repeats": repeats, "scenes": list(SCENES), "modes": list(MODES), **LOAD}
    rows, log = migrations(qemu, modules, options, timeout, say)
    say(table(rows))
    return problems_of(rows, repeats * len(SCENES) * len(MODES), log)


if __name__ == "__main__":
    inside(sys.argv[1:])
