# SPDX-License-Identifier: LGPL-2.1-or-later
"""The KVM laboratory: a stock Linux under QEMU's TCG with an emulated SVM, in which real KVM runs our own small guests.
Everything that it needs is kept in the build tree. Nothing on this machine is changed and /dev/kvm is not needed."""

import gzip
import io
import json
import lzma
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from . import paths
from .pair import QEMU
from .process import favour, spawn

CPU = "EPYC,+svm,+npt"
# One thread for all emulated processors. With a thread for each, QEMU 7.2 now and then (once in some 200,000 exits) has
# one leave its guest twice: the host's state is then in the guest's VMCB, and the guest never goes on.
ACCEL = "tcg,thread=single"
MODULES = ("kvm", "kvm-amd")
PATIENCE = 6 * 3600  # s, for a machine that sleeps for good
BEGIN, END = "== lab begins", "== lab ends"
INIT = """#!/bin/sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do
    /bin/busybox insmod "/modules/$module" || echo "lab: $module is not loaded"
done </modules/order
echo "{begin}"
/bin/sh /job
echo "{end} $?"
/bin/busybox poweroff -f
"""


def run(*command: str) -> str:
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout


def directory() -> Path:
    path = paths.build() / "tests/lab/cache"
    path.mkdir(parents=True, exist_ok=True)
    return path


# ---- the kernel --------------------------------------------------------------------------------


def kernel_package() -> str:
    """The name of the package that Debian's newest cloud kernel is in."""
    for line in run("apt-cache", "depends", "linux-image-cloud-amd64").splitlines():
        word = line.split()
        if word[:1] == ["Depends:"] and word[1].startswith("linux-image-"):
            return word[1]
    raise RuntimeError("linux-image-cloud-amd64 is not known here: are the package lists there (apt-get update)?")


def kernel() -> Path:
    """The unpacked kernel package; fetched once, never installed."""
    name = kernel_package()
    tree = directory() / name
    if tree.exists():
        return tree
    fresh = directory() / f"{name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    done = subprocess.run(["apt-get", "download", name], cwd=fresh, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    packages = list(fresh.glob("*.deb"))
    if done.returncode or not packages:
        raise RuntimeError(f"{name} cannot be fetched: {done.stderr.strip()}")
    run("dpkg-deb", "-x", str(packages[0]), str(fresh))
    packages[0].unlink()
    fresh.rename(tree)
    return tree


def module_bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def find_module(roots: list[Path], name: str) -> Path:
    for root in roots:
        for path in sorted(root.rglob("*.ko*")):
            if path.name.split(".")[0].replace("_", "-") == name.replace("_", "-"):
                return path
    raise RuntimeError(f"no module {name} in {', '.join(map(str, roots))}")


def depends(data: bytes) -> list[str]:
    """What a module names in its .modinfo."""
    start = data.find(b"\0depends=")
    text = data[start + 9:data.index(b"\0", start + 9)].decode() if start >= 0 else ""
    return [name for name in text.split(",") if name]


def load_order(roots: list[Path], wanted: tuple[str, ...]) -> dict[str, bytes]:
    """The modules with all that they depend on, in the order in which they can be loaded."""
    order: dict[str, bytes] = {}

    def add(name: str):
        path = find_module(roots, name)
        key = path.name.split(".")[0] + ".ko"
        if key in order:
            return
        data = module_bytes(path)
        for other in depends(data):
            add(other)
        order[key] = data

    for name in wanted:
        add(name)
    return order


# ---- the initramfs -----------------------------------------------------------------------------


@dataclass
class Initramfs:
    """An archive in cpio's format "newc"."""
    _out: io.BytesIO = field(default_factory=io.BytesIO)
    _inode: int = 0

    def _add(self, name: str, mode: int, data: bytes):
        self._inode += 1
        fields = [self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        self._out.write(b"070701" + b"".join(b"%08x" % value for value in fields) + name.encode() + b"\0")
        self._pad()
        self._out.write(data)
        self._pad()

    def _pad(self):
        self._out.write(b"\0" * (-self._out.tell() % 4))

    def folder(self, name: str):
        self._add(name, 0o040755, b"")

    def file(self, name: str, data: bytes, mode: int = 0o755):
        self._add(name, 0o100000 | mode, data)

    def link(self, name: str, target: str):
        self._add(name, 0o120777, target.encode())

    def packed(self) -> bytes:
        self._add("TRAILER!!!", 0, b"")
        return gzip.compress(self._out.getvalue(), 1)


def busybox() -> bytes:
    for path in (Path("/bin/busybox"), Path("/usr/bin/busybox")):
        if path.exists():
            return path.read_bytes()
    raise RuntimeError("busybox-static is not installed")


def folders_of(names: Iterable[str]) -> list[str]:
    """Those that the files need, each after the one that it is in."""
    return sorted({str(parent) for name in names for parent in Path(name).parents} - {"."})


def build_initramfs(tree: Path, job: str, modules: Path | None, programs: dict[str, Path],
                    files: dict[str, Path] | None = None) -> bytes:
    """`modules`: a folder whose modules go before those of the kernel package. `job`: a shell script. `programs` by
    their names, `files` by where they are to be (without a leading slash)."""
    roots = [*([modules] if modules else []), *tree.glob("lib/modules/*"), *tree.glob("usr/lib/modules/*")]
    order = load_order(roots, MODULES)
    archive = Initramfs()
    files = {f"bin/{name}": path for name, path in programs.items()} | (files or {})
    for name in folders_of([*files, "bin/busybox", "modules/order", "tmp/any"]):
        archive.folder(name)
    archive.file("bin/busybox", busybox())
    archive.link("bin/sh", "busybox")
    for name, data in order.items():
        archive.file(f"modules/{name}", data, 0o644)
    archive.file("modules/order", "".join(f"{name}\n" for name in order).encode(), 0o644)
    for name, path in files.items():
        archive.file(name, path.read_bytes())
    archive.file("job", job.encode())
    archive.file("init", INIT.format(begin=BEGIN, end=END).encode())
    return archive.packed()


# ---- a run -------------------------------------------------------------------------------------


def processor_time(pid: int) -> float:
    """In s, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processors(monitor: Path) -> str:
    """What the emulated processors are doing, from QEMU's monitor: to tell one that is slow from one that is stuck."""
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(5)
            channel.connect(str(monitor))
            channel.sendall(b"info registers -a\ncpu 0\ninfo lapic\ncpu 1\ninfo lapic\ninfo irq\nend\n")
            said = b""
            while b"unknown command: 'end'" not in said and (more := channel.recv(65536)):
                said += more
    except OSError as e:
        return f"its monitor says nothing: {e}"
    lines = [line for line in said.decode(errors="replace").splitlines()
             if re.match(r"CPU#|[ER]IP=|RSP|LVTT|Timer|ISR|IRR|\s*\d+:", line.strip())]
    return "\n".join(lines)


class Unfinished(RuntimeError):
    """The job did not get to its end; `lines` is what the console said until then."""

    def __init__(self, errors: str, lines: list[str]):
        super().__init__("the lab did not finish: " + "\n".join([errors, *lines[-25:]]))
        self.lines = lines


@dataclass
class Lab:
    """`memory_mib` of the machine in which KVM runs; `modules`: a folder with kernel modules of our own."""
    memory_mib: int = 1024
    cpus: int = 2
    modules: Path | None = None
    timeout: float = 1200  # s of processor time: how long that takes is the business of whatever else runs here
    log: str = ""  # what its console said

    def run(self, job: str, programs: dict[str, Path], files: dict[str, Path] | None = None) -> list[str]:
        """Boots, runs `job` and returns the lines that it printed. An exit status other than 0 is an error."""
        tree = kernel()
        image = next(iter(tree.glob("boot/vmlinuz-*")))
        initramfs = directory() / f"initramfs-{os.getpid()}"
        initramfs.write_bytes(build_initramfs(tree, job, self.modules, programs, files))
        console = directory() / f"console-{os.getpid()}.log"
        command = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35", "-accel", ACCEL,
                   "-cpu", CPU, "-smp", str(self.cpus), "-m", str(self.memory_mib),
                   "-kernel", str(image), "-initrd", str(initramfs), "-no-reboot",
                   "-append", "console=ttyS0 quiet panic=-1 transparent_hugepage=madvise mitigations=off",
                   "-serial", f"file:{console}", "-monitor", f"unix:{self._monitor()},server=on,wait=off"]
        process = spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        favour(process)
        try:
            errors = self._wait(process)
        finally:
            self.log = console.read_text(errors="replace") if console.exists() else ""
            for path in (initramfs, console):
                path.unlink(missing_ok=True)
        return self._lines(errors.decode(errors="replace").strip())

    def _wait(self, process: subprocess.Popen) -> bytes:
        """What it said on stderr, or why it was ended."""
        begin, used = time.monotonic(), 0.0
        while used < self.timeout and time.monotonic() - begin < PATIENCE:
            try:
                return process.communicate(timeout=2)[1]
            except subprocess.TimeoutExpired:
                used = processor_time(process.pid)
        state = processors(self._monitor())
        process.kill()
        process.communicate()
        self._monitor().unlink(missing_ok=True)
        return f"not done in {used:.0f} s of processor time, {time.monotonic() - begin:.0f} s\n{state}".encode()

    @staticmethod
    def _monitor() -> Path:
        return Path(tempfile.gettempdir()) / f"migd-lab-{os.getpid()}.sock"  # in a short path, as sockets need it

    def _lines(self, errors: str) -> list[str]:
        lines = [line.rstrip("\r") for line in self.log.splitlines()]
        begin = next((i for i, line in enumerate(lines) if line.startswith(BEGIN)), None)
        end = next((i for i, line in enumerate(lines) if line.startswith(END)), None)
        if begin is None or end is None or lines[end] != f"{END} 0":
            raise Unfinished(errors, lines)
        return lines[begin + 1:end]


@dataclass(frozen=True)
class Fit:
    """y = base + slope * x by least squares; `r2` = the part of the variance that the line explains."""
    base: float
    slope: float
    r2: float

    def __str__(self):
        return f"{self.slope:9.2f} us/MiB  base {self.base:9.0f} us  R2 {self.r2:5.3f}"


def fit(points: list[tuple[float, float]]) -> Fit:
    n = len(points)
    x_mean, y_mean = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    xx = sum((x - x_mean) ** 2 for x, _ in points)
    xy = sum((x - x_mean) * (y - y_mean) for x, y in points)
    yy = sum((y - y_mean) ** 2 for _, y in points)
    slope = xy / xx if xx else 0.0
    return Fit(y_mean - slope * x_mean, slope, xy * xy / (xx * yy) if xx and yy else 1.0)


def bench(arguments: list[str], host: bool = False, lab: Lab | None = None) -> list[dict]:
    """The lines of dirtylog-bench: in the lab, or with `host` on this machine's own /dev/kvm."""
    program = Path(paths.program("tests/lab/dirtylog-bench"))
    if host:
        lines = run(str(program), *arguments).splitlines()
    else:
        job = f"dirtylog-bench {' '.join(arguments)}\n"
        lines = (lab or Lab()).run("export PATH=/bin\n" + job, {"dirtylog-bench": program})
    return rows_of(lines)


def rows_of(lines: list[str]) -> list[dict]:
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


TIMES = ("start", "first_get", "first_clear", "first_write", "get", "clear", "some_get", "some_clear",
         "none_get", "stop")


def table(rows: list[dict]) -> str:
    """A block for each mode and backing: a line a size, in ms, and the slopes."""
    out = []
    for key in dict.fromkeys((row["mode"], row["backing"]) for row in rows):
        block = [row for row in rows if (row["mode"], row["backing"]) == key and row["available"]]
        out.append(f"\n{key[0]}, {key[1]} pages")
        if not block:
            out.append("  not to be had here")
            continue
        out.append("   MiB " + "".join(f"{name:>12}" for name in ("plain_write", *TIMES)) + "   (ms)")
        for row in block:
            values = "".join(f"{row[name + '_us'] / 1000:12.3f}" for name in ("plain_write", *TIMES))
            out.append(f"{row['mib']:6} {values}   missing {row['missing']}, extra {row['extra']}, "
                       f"stale {row['stale']}")
        if len(block) > 1:
            for name in ("start", "get", "clear"):
                out.append(f"  {name:12} {fit([(row['mib'], row[name + '_us']) for row in block])}")
    return "\n".join(out)


def main(arguments: list[str]):
    """scripts/lab."""
    import argparse  # noqa: PLC0415 (only here)
    parser = argparse.ArgumentParser(prog="scripts/lab", description=__doc__)
    parser.add_argument("--host", action="store_true", help="on this machine's own /dev/kvm instead")
    parser.add_argument("--sizes", default="64,128,256,512,1024", help="MiB of the guest (%(default)s)")
    parser.add_argument("--modes", default="", help="of dirtylog-bench; default: all")
    parser.add_argument("--backings", default="4k,2m", help="%(default)s")
    parser.add_argument("--vcpus", type=int, default=2, help="of the guest (%(default)s)")
    parser.add_argument("--cycles", type=int, default=3, help="whose medians are shown (%(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="of correctness (%(default)s)")
    parser.add_argument("--modules", type=Path, help="a folder whose kernel modules replace those of Debian's kernel")
    parser.add_argument("--timeout", type=float, default=7200, help="s of processor time (%(default)s)")
    parser.add_argument("--json", type=Path, help="keep the rows in this file")
    options = parser.parse_args(arguments)
    flags = [f"--{name}={getattr(options, name)}" for name in ("sizes", "backings", "vcpus", "cycles", "rounds")]
    flags += [f"--modes={options.modes}"] if options.modes else []
    memory = max(int(size) for size in options.sizes.split(",")) + 512
    begin = time.monotonic()
    problem = None
    try:
        rows = bench(flags, options.host, Lab(memory_mib=memory, modules=options.modules, timeout=options.timeout))
    except Unfinished as e:  # what there is, is shown
        problem, rows = e, rows_of(e.lines)
    if options.json:
        options.json.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(table(rows))
    where = "this machine's /dev/kvm" if options.host else f"KVM on an emulated {CPU}"
    print(f"\n{where}, {options.vcpus} vCPUs, medians of {options.cycles}, {time.monotonic() - begin:.0f} s")
    if problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main(sys.argv[1:])
