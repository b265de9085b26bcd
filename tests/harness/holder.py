#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keeps the namespaces of one test host alive: puts private directories over the machine's, says "ready", and waits for
the end of its standard input, however the harness ended. Then it ends every process of the host and removes its files.
Run by hosts.py under unshare, which has made mount propagation private."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# Each of these is the host's own directory of that name.
PRIVATE = {"run": "/run", "etc": "/etc/libvirt", "lib": "/var/lib", "log": "/var/log", "cache": "/var/cache"}
# Lines added to the host's own copy of a file. libvirtd insists on Debian's user for QEMU, even where its configuration
# names another.
ADDED = {"/etc/passwd": "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n",
         "/etc/group": "libvirt-qemu:x:64055:\n"}
KILL_TIMEOUT_S = 20


def namespace(pid: int | str) -> int:
    """The inode of a process's mount namespace; 0 when it is gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/mnt").st_ino
    except OSError:
        return 0


def members(of: int) -> list[int]:
    """The processes that share the mount namespace of process `of`, without itself."""
    wanted = namespace(of)
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if pid != of and wanted and namespace(pid) == wanted]


def kill_all():
    end = time.monotonic() + KILL_TIMEOUT_S
    while (pids := members(os.getpid())) and time.monotonic() < end:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)


def bind(source: Path, target: str):
    subprocess.run(["mount", "--bind", source, target], check=True)


def bind_file(directory: Path, path: str, added: str):
    text = Path(path).read_text()
    if added.split(":")[0] + ":" in text:
        return  # libvirt's own packages have made it
    private = directory / Path(path).name
    private.write_text(text + added)
    bind(private, path)


def main():
    directory, name, hosts = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    # Interrupting the test ends us, too, but by the end of our input, after everything else.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for source, target in PRIVATE.items():
        bind(directory / source, target)
    for path, added in ADDED.items():
        bind_file(directory, path, added)
    (directory / "hosts").write_text(hosts)
    bind(directory / "hosts", "/etc/hosts")
    # The network devices there are this host's.
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
    socket.sethostname(name)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print("ready", flush=True)
    sys.stdin.read()
    kill_all()
    os.chdir("/")
    shutil.rmtree(directory, ignore_errors=True)
    try:
        directory.parent.rmdir()  # the last host of a set
    except OSError:
        pass


if __name__ == "__main__":
    main()
