# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Debian tree with systemd as its first process, libvirt and QEMU: a host to install packages on. It is made once, by
mmdebstrap from where this machine's apt gets its packages, kept in build-tree/, and booted by systemd-nspawn under an
overlay that goes when it ends. The machine's own mounts, network and units are never touched."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from . import paths
from .hosts import LIBVIRTD_CONF, QEMU_CONF
from .pair import accelerator
from .process import spawn
from .virsh import Virsh

PACKAGES = ("dbus", "libglib2.0-bin", "libjson-c5", "libvirt-clients", "libvirt-daemon-system", "libvirt-glib-1.0-0",
            "polkitd", "procps", "qemu-system-x86", "systemd", "systemd-sysv", "util-linux")
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*")
PLACE = paths.SOURCE / "build-tree"
BOOT_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20

# In a mount namespace of its own; the arguments are: base, scratch, what else to give systemd-nspawn.
BOOT = """
set -e
base=$1 scratch=$2
shift 2
mount -t tmpfs none "$scratch"
mkdir "$scratch"/upper "$scratch"/work "$scratch"/root
mount -t overlay overlay -o "lowerdir=$base,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
exec systemd-nspawn --quiet --register=no --keep-unit --private-network --console=pipe --boot \
    --machine=hypervisor --directory="$scratch/root" "$@"
"""


def base() -> Path:
    """The tree as it is unpacked, made if it is not there yet."""
    done, tree = PLACE / "done", PLACE / "root"
    wanted = "\n".join(PACKAGES)
    if done.exists() and done.read_text() == wanted:
        return tree
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    command = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(PACKAGES)}",
               "--aptopt=APT::Install-Recommends \"false\"", *[f"--dpkgopt=path-exclude={p}" for p in LEFT_OUT],
               "bookworm", str(tree)]
    done_process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done_process.returncode:
        raise RuntimeError(f"mmdebstrap: {done_process.stderr[-2000:]}")
    done.write_text(wanted)
    return tree


class InTree(Virsh):
    """virsh, run there."""

    def __init__(self, tree: "Tree", uri: str):
        super().__init__(uri)
        self.tree = tree

    def popen(self, *arguments: str) -> subprocess.Popen:
        return spawn([*self.tree.within, "virsh", "-q", "-c", self.uri, *arguments], stdout=subprocess.PIPE,
                     stderr=subprocess.STDOUT, text=True)


class Side:
    """One of the two libvirts of a tree, as harness/domain.py wants a host."""

    def __init__(self, tree: "Tree", name: str):
        self.name = name
        self.directory = Path(tree.shared) / name
        for folder in ("run/libvirt", "run/guests", "etc", "lib/qemu", "log", "cache"):
            (self.directory / folder).mkdir(parents=True)
        self.socket = f"{self.directory}/run/libvirt/libvirt-sock" if name == "b" else "/run/libvirt/libvirt-sock"
        self.uri = f"qemu+unix:///system?socket={self.socket}" if name == "b" else "qemu:///system"
        self.virsh = InTree(tree, self.uri)


class Tree:
    """Use it as a context manager. `shared` is a folder that has the same path inside. `a` is its libvirtd.service, `b`
    a second libvirtd to migrate to."""

    def __init__(self):
        self.shared = tempfile.mkdtemp(prefix="migd-shared-", dir="/var/tmp")
        self._scratch = tempfile.mkdtemp(prefix="migd-tree-", dir="/var/tmp")
        self._console = Path(self.shared) / "console"
        self._nspawn: subprocess.Popen | None = None
        self.pid = 0

    def __enter__(self):
        try:
            self._boot()
            self._prepare()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def _boot(self):
        binds = [f"--bind={self.shared}", f"--bind-ro={paths.build()}"]
        with self._console.open("wb") as console:
            self._nspawn = spawn(["unshare", "--mount", "--propagation", "private", "bash", "-c", BOOT, "boot",
                                  str(base()), self._scratch, *binds], stdout=console, stderr=console)
        self.wait(self._first_process, "the first process", BOOT_TIMEOUT_S)
        self.wait(lambda: self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded"),
                  "the end of the boot", BOOT_TIMEOUT_S)

    def _first_process(self) -> int:
        if self._nspawn.poll() is not None:
            raise RuntimeError(f"systemd-nspawn ended: {self._console.read_text(errors='replace')[-2000:]}")
        pid = self._nspawn.pid
        try:  # setpriv and unshare have become systemd-nspawn, whose child it is, after another one that prepares
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                status = Path(f"/proc/{child}/status").read_text()
                if "Name:\tsystemd\n" in status and re.search(r"^NSpid:.*\t1$", status, re.MULTILINE):
                    self.pid = int(child)
        except OSError:
            pass
        return self.pid

    def _prepare(self):
        """What has to be so that QEMUs run in here, and nothing else."""
        if accelerator() == "kvm":  # a node of its own, with the rights that Debian gives it
            number = os.stat("/dev/kvm").st_rdev
            self.run("mknod", "--mode=660", "/dev/kvm", "c", str(os.major(number)), str(os.minor(number)))
            self.run("chgrp", "kvm", "/dev/kvm")
        self.a, self.b = Side(self, "a"), Side(self, "b")
        qemu_conf = QEMU_CONF.partition("migration_address")[0]  # the streams go over unix sockets
        self.write("/etc/libvirt/qemu.conf", qemu_conf)
        self.write("/etc/hosts", "127.0.0.1 localhost hypervisor\n")
        (self.b.directory / "etc/qemu.conf").write_text(qemu_conf)
        (self.b.directory / "etc/libvirtd.conf").write_text(LIBVIRTD_CONF.format(uuid=uuid.uuid4()))
        self.run("mkdir", "/run/guests")
        self.run("mount", "--bind", f"{self.a.directory}/run/guests", "/run/guests")
        self.run("systemctl", "restart", "libvirtd")

    def start_second_libvirtd(self):
        places = {"run/libvirt": "/run/libvirt", "run/guests": "/run/guests", "etc": "/etc/libvirt",
                  "lib": "/var/lib/libvirt", "log": "/var/log/libvirt", "cache": "/var/cache/libvirt"}
        binds = " ".join(f"{self.b.directory}/{ours}:{theirs}" for ours, theirs in places.items())
        # Without the bus it does not register its guests: their names are taken by the first one's.
        self.run("systemd-run", "--quiet", "--unit=libvirtd-b", f"--property=BindPaths={binds}",
                 "--property=InaccessiblePaths=/run/dbus", "--property=KillMode=control-group",
                 "/usr/sbin/libvirtd", "--pid-file=/run/libvirtd-b.pid")
        self.wait(lambda: self.ok("virsh", "-q", "-c", self.b.uri, "list"), "the second libvirtd")

    def peer(self, side: Side) -> Side:
        return self.b if side is self.a else self.a

    @property
    def within(self) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--"]

    def start(self, *command: str, user: str = "", **options) -> subprocess.CompletedProcess:
        who = ["runuser", "-u", user, "--"] if user else []
        return subprocess.run([*self.within, *who, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=options.pop("timeout", 120), check=False, **options)

    def run(self, *command: str, check: bool = True, user: str = "", timeout: float = 120) -> str:
        """What the command prints."""
        done = self.start(*command, user=user, timeout=timeout)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def ok(self, *command: str, user: str = "") -> bool:
        return self.start(*command, user=user).returncode == 0

    def write(self, path: str, text: str):
        subprocess.run([*self.within, "sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1"', "write", path], input=text,
                       text=True, check=True, timeout=30)

    def show(self, *properties: str, unit: str = "migrationd") -> dict[str, str]:
        text = self.run("systemctl", "show", f"--property={','.join(properties)}", unit)
        return dict(line.partition("=")[::2] for line in text.splitlines())

    def journal(self, *arguments: str) -> str:
        return self.run("journalctl", "--no-pager", "--output=cat", "--unit=migrationd", *arguments)

    def wait(self, look, what: str, timeout: float = 60):
        end = time.monotonic() + timeout
        while not (found := look()):
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not seen in {timeout:.0f} s")
            time.sleep(0.1)
        return found

    def __exit__(self, kind, *_):
        if kind and self.pid:
            print("".join(f"# {line}\n" for line in self.run(
                "journalctl", "--no-pager", "--lines=60", check=False).splitlines()), end="", flush=True)
        if self._nspawn and self._nspawn.poll() is None:
            self._nspawn.send_signal(signal.SIGTERM)  # a clean shutdown; a second one does not ask
            try:
                self._nspawn.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                if self.pid:  # with the first process all of them end; they would outlive systemd-nspawn
                    os.kill(self.pid, signal.SIGKILL)
                self._nspawn.kill()
        if self._nspawn:
            self._nspawn.wait()
        for folder in (self.shared, self._scratch):
            shutil.rmtree(folder, ignore_errors=True)
