# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two libvirt hosts on one machine. Each has its own mount, host name and network namespace, its own directories over
libvirt's, and a root libvirtd; a cable joins them. Their sockets are reached from outside by path. The machine's own
mounts and network are never touched, and nothing stays behind, whatever ends the harness (see holder.py)."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from . import holder, paths
from .virsh import Virsh

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20

ADDRESSES = {"a": "10.77.0.1", "b": "10.77.0.2"}
HOSTS_FILE = "127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in ADDRESSES.items())

LIBVIRTD_CONF = """host_uuid = "{uuid}"
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
log_outputs = "3:stderr"
"""

QEMU_CONF = """user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
clear_emulator_capabilities = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
migration_address = "{address}"
migration_host = "{address}"
"""


class Host:
    """One host. `virsh` talks to its libvirtd; `within` is what to put before a command that shall run on it."""

    def __init__(self, directory: Path, name: str, address: str):
        self.name = name
        self.address = address
        self.directory = directory / name
        self.socket = f"{self.directory}/run/libvirt/libvirt-sock"
        self.uri = f"qemu+unix:///system?socket={self.socket}"
        self.virsh = Virsh(self.uri)
        self.libvirtd: subprocess.Popen | None = None
        self._log = self.directory / "libvirtd.log"
        self._prepare()
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--uts", "--net", "--propagation", "private", sys.executable, "-B", holder.__file__,
             str(self.directory), name, HOSTS_FILE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        if self._holder.stdout.readline() != "ready\n":
            self.close()
            raise RuntimeError(f"host {name}: no namespaces (root, with CAP_SYS_ADMIN, is needed)")

    def _prepare(self):
        for name in ("run/libvirt", "run/guests", "etc", "lib/libvirt", "log/libvirt"):
            (self.directory / name).mkdir(parents=True)
        # Kept in the build tree: what libvirtd finds out about QEMU in five seconds, and checks before it believes it.
        cache = paths.build() / "tests/libvirt-cache"
        (cache / "libvirt").mkdir(parents=True, exist_ok=True)
        (self.directory / "cache").symlink_to(cache)
        for name, text in (("libvirtd", LIBVIRTD_CONF), ("qemu", QEMU_CONF)):
            (self.directory / f"etc/{name}.conf").write_text(text.format(uuid=uuid.uuid4(), address=self.address))

    @property
    def pid(self) -> int:
        """Of a process that is always there: it names the namespaces."""
        return self._holder.pid

    @property
    def within(self) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--net", "--"]

    def run(self, *command: str) -> str:
        return subprocess.run([*self.within, *command], check=True, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60).stdout

    def launch_libvirtd(self):
        """Returns at once."""
        with open(self._log, "ab") as log:
            # Before other processes, with all its guests: they shall keep their pace on a busy machine.
            self.libvirtd = subprocess.Popen([*self.within, "nice", "-n", "-15", "libvirtd"], stdout=log, stderr=log,
                                             stdin=subprocess.DEVNULL, start_new_session=True)

    def wait_libvirtd(self):
        """Until it answers."""
        end = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self.libvirtd.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"libvirtd of {self.name} did not start: {self.log_text()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(self.socket)
            except OSError:
                return False
        return subprocess.run(["virsh", "-q", "-c", self.uri, "list"], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=START_TIMEOUT_S, check=False).returncode == 0

    def start_libvirtd(self):
        self.launch_libvirtd()
        self.wait_libvirtd()

    def kill_libvirtd(self):
        """As a crash would. The guests run on."""
        self.libvirtd.kill()
        self.libvirtd.wait()

    def stop_libvirtd(self):
        """As systemd would. The guests run on."""
        self.libvirtd.send_signal(signal.SIGTERM)
        try:
            self.libvirtd.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill_libvirtd()

    def log_text(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]

    def processes(self) -> list[int]:
        """All that run on this host."""
        return holder.members(self.pid)

    def qemu(self, guest: str) -> int:
        """The process of a guest."""
        return int((self.directory / f"run/libvirt/qemu/{guest}.pid").read_text())

    def signal_qemu(self, guest: str, number: signal.Signals):
        os.kill(self.qemu(guest), number)

    def qemu_log(self, guest: str) -> str:
        return (self.directory / f"log/libvirt/qemu/{guest}.log").read_text(errors="replace")

    def close(self):
        """Ends everything that runs on it and removes its files."""
        self._holder.stdin.close()
        try:
            self._holder.wait(holder.KILL_TIMEOUT_S + 10)
        except subprocess.TimeoutExpired:
            self._holder.kill()
            self._holder.wait()
        self._holder.stdout.close()
        if self.libvirtd:
            self.libvirtd.wait()


class Hosts:
    """Two of them, `a` and `b`, joined by a cable. Use it as a context manager."""

    def __init__(self):
        self._open: list[Host] = []

    def __enter__(self):
        directory = Path(tempfile.mkdtemp(prefix="migd-hosts-"))
        try:
            for name, address in ADDRESSES.items():
                self._open.append(Host(directory, name, address))
            self.a, self.b = self._open
            self._join()
            for host in self._open:
                host.launch_libvirtd()
            for host in self._open:
                host.wait_libvirtd()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _join(self):
        self.a.run("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(self.b.pid))
        for host in self._open:
            host.run("ip", "address", "add", f"{host.address}/24", "dev", "cable")
            host.run("ip", "link", "set", "cable", "up")

    def __exit__(self, *_):
        while self._open:
            self._open.pop().close()

    def peer(self, host: Host) -> Host:
        return self.b if host is self.a else self.a
