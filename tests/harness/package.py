# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian package of this checkout, built in build-package/ and kept there as long as no source changes."""

import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from . import paths

FOLDERS = ("completions", "conf", "daemon", "debian", "docs", "src", "systemd", "tests/bench")
FILES = ("meson.build", "meson_options.txt", "NEWS", "README.md", "SECURITY.md", "LICENSE")
PLACE = paths.SOURCE / "build-package"


def sources() -> list[Path]:
    found = [paths.SOURCE / name for name in FILES]
    for folder in FOLDERS:
        found += [p for p in (paths.SOURCE / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return sorted(found)


def fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path.relative_to(paths.SOURCE)} {path.stat().st_mode & 0o111}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def build() -> Path:
    """Runs dpkg-buildpackage in a copy of the sources; the folder that it left its files in."""
    folder = PLACE / fingerprint()
    if (folder / "done").exists():
        return folder
    shutil.rmtree(PLACE, ignore_errors=True)
    tree = folder / "migrationd"
    for path in sources():
        copy = tree / path.relative_to(paths.SOURCE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ASAN", "UBSAN", "LSAN", "MESON", "G_"))}
    done = subprocess.run(["dpkg-buildpackage", "-b", "-us", "-uc"], cwd=tree, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, env=environment | {"DEB_BUILD_OPTIONS": "nocheck"},
                          check=False)
    if done.returncode:
        raise RuntimeError(f"dpkg-buildpackage: {(done.stdout + done.stderr)[-4000:]}")
    shutil.rmtree(tree)
    (folder / "done").touch()
    return folder


def package(folder: Path) -> Path:
    return next(folder.glob("migrationd_*.deb"))


def changes(folder: Path) -> Path:
    return next(folder.glob("*.changes"))


def newer(deb: Path, target: Path) -> Path:
    """The same package under a higher version, in the folder `target`."""
    tree = target / "newer"
    subprocess.run(["dpkg-deb", "-R", str(deb), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    lines = [line + "+newer" if line.startswith("Version:") else line for line in control.read_text().splitlines()]
    control.write_text("\n".join(lines) + "\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(target / "newer.deb")], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return target / "newer.deb"
