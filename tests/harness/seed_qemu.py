# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's QEMU with the patches of patches/qemu: a source package fetched, patched, built, kept by what went into it.
Nothing is installed, and the machine's package lists and sources are left as they are."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from . import paths
from .process import run_tool

PATCHES = paths.SOURCE / "patches/qemu"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PROGRAM = "qemu-system-x86_64"
# What a guest and its migration need, no more. It is never installed: the firmware is the machine's own.
CONFIGURE = ("--target-list=x86_64-softmmu", "--without-default-features", "--enable-kvm", "--enable-tcg",
             "--disable-install-blobs", "--disable-docs", "--disable-werror", "--meson=/usr/bin/meson",
             "--with-git-submodules=ignore")
FIRMWARE = (Path("/usr/share/qemu"), Path("/usr/share/seabios"))


def cache() -> Path:
    path = paths.build() / "tests/lab/cache/qemu"
    path.mkdir(parents=True, exist_ok=True)
    return path


def patches() -> list[Path]:
    return sorted(PATCHES.glob("*.patch"))


# ---- the source package ------------------------------------------------------------------------


def apt(folder: Path) -> list[str]:
    """apt-get with lists of its own: the machine's mirrors and suites, for sources."""
    signed = f" [signed-by={KEYRING}]" if KEYRING.exists() else ""
    shown = run_tool(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                 "Identifier: Packages"], folder, "apt-get indextargets")
    lines = sorted({f"deb-src{signed} {line}" for line in shown.splitlines() if line.endswith(" main")})
    if not lines:
        raise RuntimeError("apt-get knows no Debian mirror: are the package lists there (apt-get update)?")
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text("".join(f"{line}\n" for line in lines))
    options = {"Dir::Etc::SourceList": folder / "sources.list", "Dir::Etc::SourceParts": "-",
               "Dir::State::Lists": folder / "lists", "Dir::Cache": folder, "APT::Sandbox::User": "root"}
    return ["apt-get", "-qq", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]


def source_package() -> Path:
    """The .dsc of Debian's QEMU with all that it names beside it; fetched once."""
    folder = cache() / "source"
    found = sorted(folder.glob("*.dsc"))
    if found:
        return found[-1]
    fresh = cache() / f"source-{os.getpid()}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        command = apt(fresh)
        run_tool([*command, "update"], fresh, "the lists of Debian's source packages cannot be fetched")
        run_tool([*command, "source", "--download-only", "qemu"], fresh, "QEMU's source package cannot be fetched")
        for name in ("lists", "archives"):
            shutil.rmtree(fresh / name)
        if not folder.exists():
            fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return sorted(folder.glob("*.dsc"))[-1]


def unpack(tree: Path):
    """Debian's source into `tree`, with Debian's patches and without ours."""
    shutil.rmtree(tree, ignore_errors=True)
    run_tool(["dpkg-source", "--no-check", "-x", source_package(), tree], cache(), "QEMU's source cannot be unpacked")


def apply(tree: Path):
    """Every patch must apply where it says, without fuzz."""
    for path in patches():
        run_tool(["patch", "-p1", "-N", "-F0", "-i", path], tree, f"{path.name} does not apply")


def check_applies() -> list[str]:
    """That the series fits Debian's source, without building; what it touches."""
    touched = sorted({name for path in patches()
                      for name in re.findall(r"^\+\+\+ b/(\S+)", path.read_text(), re.MULTILINE)})
    tree = cache() / f"check-{os.getpid()}"
    try:
        unpack(tree)
        apply(tree)
        left = [str(path) for path in tree.rglob("*") if path.suffix in (".rej", ".orig")]
        if left:
            raise RuntimeError(f"patches left {', '.join(left)}")
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    return touched


# ---- the build ---------------------------------------------------------------------------------


def fingerprint(patched: bool) -> str:
    digest = hashlib.sha256(" ".join([source_package().name, *CONFIGURE]).encode())
    for path in patches() if patched else []:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def build(say: Callable[[str], None] = print, patched: bool = True) -> Path:
    """The program; built when no build of the same source, patches and options is kept. Without `patched`: Debian's
    source as it is, for comparison."""
    program = cache() / fingerprint(patched) / PROGRAM
    if program.exists():
        return program
    place = cache() / f"build-{os.getpid()}"
    tree, output = place / "qemu", place / "build"
    try:
        place.mkdir(parents=True)
        say(f"QEMU: unpacking {source_package().name}")
        unpack(tree)
        if patched:
            say(f"QEMU: applying {len(patches())} patches")
            apply(tree)
        output.mkdir()
        say("QEMU: building, which takes minutes")
        run_tool([tree / "configure", *CONFIGURE], output, "QEMU's configure")
        run_tool(["nice", "-n", "19", "ninja", PROGRAM], output, "QEMU's build")
        run_tool(["strip", "-o", place / PROGRAM, output / PROGRAM], output, "strip")
        program.parent.mkdir(exist_ok=True)
        (place / PROGRAM).rename(program)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return program


def libraries(program: Path) -> list[Path]:
    """What the dynamic loader opens for it, the loader included."""
    return [Path(name) for name in re.findall(r"(/\S+) \(0x", run_tool(["ldd", program], cache(), "ldd"))]
