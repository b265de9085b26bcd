# SPDX-License-Identifier: LGPL-2.1-or-later
"""The patches of patches/ still fit Debian's sources, and say the same as the header that the project uses. They are
not built here: scripts/lab seed does that, and runs them."""

import re

from harness import paths, seed_modules, seed_qemu
from harness.case import check, run, same

HEADER = paths.SOURCE / "src/writeprotect/kvm-write-protect-all.h"
NAME = re.compile(r"KVM_CAP_X86_WRITE_PROTECT_ALL_MEM|KVM_CAP_X86_DIRTY_LOG_WITHOUT_WRITE_PROTECT|"
                  r"KVM_DIRTY_LOG_WITHOUT_WRITE_PROTECT|KVM_WRITE_PROTECT_ALL\w*")
DEFINE = re.compile(rf"#define[ \t]+({NAME.pattern})[ \t]+(\S[^\n]*)")
STRUCT = re.compile(r"struct kvm_write_protect_all \{(.*?)\};", re.DOTALL)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def spoken(text: str) -> dict[str, str]:
    """What a header says, by name, however it is written."""
    text = COMMENT.sub("", text)
    said = {name: re.sub(r"\s+", "", value).lower() for name, value in DEFINE.findall(text)}
    return said | {"struct": " ".join(match[1].split()) for match in STRUCT.finditer(text)}


def added(patches: list, file: str) -> str:
    """The lines that a series adds to a file."""
    lines, ours = [], False
    for patch in patches:
        for line in patch.read_text().splitlines():
            if line.startswith("+++ "):
                ours = line == f"+++ b/{file}"
            elif ours and line.startswith("+"):
                lines.append(line[1:])
    return "\n".join(lines)


def they_say_what_the_header_says():
    ours = spoken(HEADER.read_text())
    same(len(ours), 8, "numbers, flags and the structure in the header")
    for series, file in ((seed_modules, "include/uapi/linux/kvm.h"), (seed_qemu, "linux-headers/linux/kvm.h")):
        same(spoken(added(series.patches(), file)), ours, f"{series.PATCHES.name}: {file}")


def the_series_for_linux_applies():
    check("arch/x86/kvm/mmu/mmu.c" in seed_modules.check_applies(), "the series does not touch KVM's MMU")


def the_series_for_qemu_applies():
    check("migration/ram.c" in seed_qemu.check_applies(), "the series does not touch the migration of memory")


run(they_say_what_the_header_says, the_series_for_linux_applies, the_series_for_qemu_applies)
