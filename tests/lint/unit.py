#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The systemd unit: systemd understands every line of it, and its exposure stays within the limit."""

import re
import shutil
import subprocess
from pathlib import Path

import common
from common import Case, Violation

EXPOSURE_MAX = 1.0  # of 10

# The unit is checked where it was built, not where it will run.
NOT_INSTALLED = re.compile(r"is not executable: No such file or directory")


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"})


def check_verify(path: Path, relative: str) -> list[Violation]:
    run = systemd_analyze("verify", "--man=no", str(path))
    violations = []
    for line in run.stderr.splitlines():
        match = re.match(r".*?" + re.escape(path.name) + r":(?:(\d+):)? *(.*)", line)
        if match is not None and not NOT_INSTALLED.search(line):
            violations.append(Violation(relative, int(match[1] or 1), match[2]))
    return violations


def check_exposure(path: Path, relative: str) -> list[Violation]:
    run = systemd_analyze("security", "--offline=true", "--no-pager", str(path))
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", run.stdout)
    if level is None:
        return [Violation(relative, 1, f"no exposure level: {run.stderr.strip()}")]
    print(f"{relative}: exposure {level[1]} (limit {EXPOSURE_MAX})")
    if float(level[1]) <= EXPOSURE_MAX:
        return []
    return [Violation(relative, 1, f"exposure {level[1]}, over {EXPOSURE_MAX}")]


def check(root: Path) -> list[Violation]:
    if shutil.which("systemd-analyze") is None:
        raise common.Missing("systemd-analyze is not installed")
    paths = list(common.walk(root, ".service"))
    if not paths:
        return [Violation("migrationd.service", 0, "no unit in the build folder")]
    violations = []
    for path in paths:
        relative = common.rel(path, root)
        violations += check_verify(path, relative) + check_exposure(path, relative)
    return violations


OPEN = "[Service]\nExecStart=/bin/true\n"
CONFINED = OPEN + """User=daemon
CapabilityBoundingSet=
NoNewPrivileges=yes
PrivateUsers=yes
PrivateNetwork=yes
PrivateDevices=yes
PrivateTmp=yes
DevicePolicy=closed
IPAddressDeny=any
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""

CASES = [
    Case("confined", {"a.service": CONFINED}, []),
    Case("not confined", {"a.service": OPEN}, ["a.service:1: exposure 9."]),
    Case("a key that systemd does not know", {"a.service": CONFINED + "ProtectAll=yes\n"},
         [f"a.service:{CONFINED.count(chr(10)) + 1}: Unknown key 'ProtectAll'"]),
    Case("no unit", {"a.txt": ""}, ["migrationd.service:0: no unit"]),
]

if __name__ == "__main__":
    common.main(check, CASES)
