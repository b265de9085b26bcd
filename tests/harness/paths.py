# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the built programs are: in the build tree that MIGD_BUILD names, else in build/ of the checkout."""

import os
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
QBOOT = Path("/usr/share/qemu/qboot.rom")


def build() -> Path:
    return Path(os.environ.get("MIGD_BUILD") or SOURCE / "build").resolve()


def program(relative: str) -> str:
    """The path of a built file; a clear error when it is not there."""
    path = build() / relative
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built (MIGD_BUILD names the build tree)")
    return str(path)


def guest() -> str:
    return program("tests/guest/guest.elf")


def migrationd() -> str:
    return program("daemon/migrationd")


def migrationctl() -> str:
    return program("src/cli/migrationctl")
