# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's KVM modules with the patches of patches/linux: source and headers fetched, patched, built for the kernel
that the laboratory boots, and kept by what went into them. Nothing is installed."""

import functools
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from . import lab, paths
from .process import run_tool

PATCHES = paths.SOURCE / "patches/linux"
MODULES = ("kvm", "kvm-amd", "kvm-intel")
SOURCE = "linux-source-6.1"
# What is taken from Debian's source: KVM, and the files that the series touches outside of it.
WANTED = ("arch/x86/kvm", "virt/kvm", "arch/x86/include/asm/kvm_host.h", "include/linux/kvm_host.h",
          "include/uapi/linux/kvm.h", "Documentation/virt/kvm/api.rst")


def cache() -> Path:
    path = lab.directory() / "linux"
    path.mkdir(parents=True, exist_ok=True)
    return path


def patches() -> list[Path]:
    return sorted(PATCHES.glob("*.patch"))


@functools.cache
def release() -> str:
    """As uname calls the kernel that the laboratory boots."""
    return lab.kernel_package().removeprefix("linux-image-")


@functools.cache
def version() -> str:
    """Of the package; its source has the same."""
    shown = lab.run("apt-cache", "show", "--no-all-versions", lab.kernel_package())
    return re.search(r"^Version: (\S+)$", shown, re.MULTILINE)[1]


def touched() -> list[str]:
    return sorted({name for path in patches()
                   for name in re.findall(r"^\+\+\+ b/(\S+)", path.read_text(), re.MULTILINE)})


# ---- what is fetched ---------------------------------------------------------------------------


def download(folder: Path, packages: list[str]) -> list[Path]:
    options = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    run_tool(["apt-get", *options, "-qq", "download", *packages], folder, f"{', '.join(packages)} cannot be fetched")
    return sorted(folder.glob("*.deb"))


def fetch(name: str, fill: Callable[[Path], None]) -> Path:
    """A folder of the cache, filled once: never half of it."""
    folder = cache() / name
    if folder.exists():
        return folder
    fresh = cache() / f"{name}-{os.getpid()}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        fill(fresh)
        if not folder.exists():
            fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def fill_source(folder: Path):
    package = download(folder, [f"{SOURCE}={version()}"])[0]
    run_tool(["dpkg-deb", "-x", package, folder], folder, f"{package.name} cannot be unpacked")
    archive = next(folder.glob("usr/src/*.tar.xz"))
    top = archive.name.removesuffix(".tar.xz")
    run_tool(["tar", "-xJf", archive, "--strip-components=1", *(f"{top}/{name}" for name in WANTED)], folder,
        f"{archive.name} cannot be unpacked")
    package.unlink()
    shutil.rmtree(folder / "usr")


def source() -> Path:
    """Those parts of Debian's Linux that matter here, with Debian's patches and without ours."""
    missing = [name for name in touched() if not any(Path(name).is_relative_to(part) for part in WANTED)]
    if missing:
        raise RuntimeError(f"the series touches what is not taken from the source: {', '.join(missing)}")
    return fetch(f"source-{version()}", fill_source)


def fill_headers(folder: Path):
    name = release()
    common = re.sub(r"-(cloud-)?amd64$", "-common", name)
    packages = [f"linux-headers-{name}={version()}", f"linux-headers-{common}={version()}",
                f"linux-kbuild-6.1={version()}"]
    for package in download(folder, packages):
        run_tool(["dpkg-deb", "-x", package, folder], folder, f"{package.name} cannot be unpacked")
        package.unlink()


def headers() -> Path:
    return fetch(f"headers-{version()}", fill_headers)


# ---- the series --------------------------------------------------------------------------------


def apply(tree: Path):
    """Every patch must apply where it says, without fuzz."""
    for path in patches():
        run_tool(["patch", "-p1", "-N", "-F0", "-i", path], tree, f"{path.name} does not apply")
    left = [str(path.relative_to(tree)) for path in tree.rglob("*") if path.suffix in (".rej", ".orig")]
    if left:
        raise RuntimeError(f"patches left {', '.join(left)}")


def check_applies() -> list[str]:
    """That the series fits Debian's source, without building; what it touches."""
    tree = cache() / f"check-{os.getpid()}"
    try:
        shutil.copytree(source(), tree, symlinks=True)
        apply(tree)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    return touched()


def fingerprint() -> str:
    digest = hashlib.sha256(f"{release()} {version()}".encode())
    for path in patches():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def build_in(place: Path, say: Callable[[str], None]):
    """The headers' tree becomes one that has KVM, too. `place` must not move while it is built in."""
    run_tool(["cp", "-a", f"{headers()}/.", place], place, "cp")
    common = next(place.glob("usr/src/linux-headers-*-common"))
    objects = place / f"usr/src/linux-headers-{release()}"
    (objects / "Makefile").write_text(f"include {common}/Makefile\n")
    run_tool(["cp", "-a", f"{source()}/.", common], place, "cp")
    say(f"KVM: applying {len(patches())} patches to {version()}")
    apply(common)
    say("KVM: building, which takes minutes")
    kvm = common / "arch/x86/kvm"
    run_tool(["nice", "-n", "19", "make", "-C", objects, f"M={kvm}", f"-j{os.cpu_count()}"], place, "the build of KVM")
    for name in MODULES:
        run_tool(["strip", "--strip-debug", "-o", place / f"{name}.ko", kvm / f"{name}.ko"], place, "strip")


def build(say: Callable[[str], None] = print) -> Path:
    """A folder with the modules; built when no build of the same source and patches is kept."""
    folder = cache() / fingerprint()
    if folder.exists():
        return folder
    place = cache() / f"build-{os.getpid()}"
    try:
        place.mkdir()
        build_in(place, say)
        for path in list(place.iterdir()):
            if path.suffix != ".ko":
                shutil.rmtree(path)
        place.rename(folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return folder
