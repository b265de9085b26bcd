# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two hosts themselves: guests arrive whole by every way that virsh has, and whatever ends the harness, nothing is
left and nothing of the machine has changed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness.case import Skip, check, run, same
from harness.domain import Domain
from harness.hosts import Hosts

CONVERGING = "ws=32 rate=15"
SLEEPER = """
import sys, time
from harness.domain import Domain
from harness.hosts import Hosts
from harness.process import clean_up_on_signals
clean_up_on_signals()
with Hosts() as hosts:
    Domain(hosts, "left", "ws=16 rate=5").start(hosts.a)
    print(hosts.a.directory.parent, *hosts.a.processes(), *hosts.b.processes(), hosts.a.pid, hosts.b.pid, flush=True)
    time.sleep(600)
"""


def machine() -> dict:
    """What of the machine the hosts could change."""
    def output(*command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {"mounts": Path("/proc/self/mountinfo").read_text(), "host name": os.uname().nodename,
            "links": output("ip", "-o", "link"), "addresses": output("ip", "-o", "-4", "address"),
            "accounts": Path("/etc/passwd").read_text(), "configuration": sorted(os.listdir("/etc/libvirt"))}


def running(pids: list[int]) -> list[int]:
    return [pid for pid in pids if os.path.exists(f"/proc/{pid}") and
            ") Z" not in Path(f"/proc/{pid}/stat").read_text()]


def arrives(domain: Domain, *options: str, p2p: bool = True):
    process = domain.migrate(*options, p2p=p2p)
    output, _ = process.communicate(timeout=90)
    same(process.returncode, 0, f"exit status of virsh ({output.strip()})")
    domain.arrive()
    same(domain.state(), "running", "state at the destination")
    verdict = domain.verify()
    print(f"# to {domain.host.name} {' '.join(options)}: silent for {domain.gap_ms():.0f} ms, wrong pages {verdict}")
    if verdict.wrong is None:
        raise Skip(f"/dev/kvm does not open: {verdict.reason}")
    same(verdict.wrong, 0, f"wrong pages ({verdict.reason})")


def guests_arrive_whole_by_every_way():
    before = machine()
    with Hosts() as hosts:
        same([hosts.a.virsh("hostname"), hosts.b.virsh("hostname")], ["a", "b"], "host names")
        same(machine(), before, "the machine while the hosts run")
        domain = Domain(hosts, "vm", CONVERGING)
        domain.start(hosts.a)
        arrives(domain)
        arrives(domain, p2p=False)
        arrives(domain, "--migrateuri", f"unix:{hosts.a.directory.parent}/migration.sock")
        domain.host.virsh("migrate-setspeed", domain.name, "20")
        arrives(domain, "--postcopy", "--postcopy-after-precopy")
    same(machine(), before, "the machine afterwards")


def libvirtd_comes_back_to_its_guests():
    with Hosts() as hosts:
        domain = Domain(hosts, "vm", CONVERGING)
        domain.start(hosts.a)
        hosts.a.kill_libvirtd()
        hosts.a.start_libvirtd()
        same(domain.state(), "running", "state after a crash of libvirtd")
        hosts.a.stop_libvirtd()
        hosts.a.start_libvirtd()
        same(domain.state(), "running", "state after a restart of libvirtd")
        domain.runs_on()


def ended_by(number: signal.Signals):
    before = machine()
    harness = Path(__file__).resolve().parents[1]
    with subprocess.Popen([sys.executable, "-B", "-c", SLEEPER], stdout=subprocess.PIPE, text=True,
                          start_new_session=True, env=os.environ | {"PYTHONPATH": str(harness)}) as process:
        directory, *pids = process.stdout.readline().split()
        pids = [int(pid) for pid in pids]
        check(len(pids) >= 5, f"two holders, two libvirtd and a QEMU, and not {pids}")
        same(running(pids), pids, "processes before")
        # To the whole group, as a terminal's Ctrl-C.
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        process.wait(60)
    end = time.monotonic() + 30
    while (left := running(pids)) or os.path.exists(directory):
        check(time.monotonic() < end, f"left after signal {number}: processes {left}, or {directory}")
        time.sleep(0.05)
    same(machine(), before, "the machine afterwards")


def nothing_is_left_after_an_interrupt():
    ended_by(signal.SIGINT)


def nothing_is_left_after_sigkill():
    ended_by(signal.SIGKILL)


run(guests_arrive_whole_by_every_way, libvirtd_comes_back_to_its_guests, nothing_is_left_after_an_interrupt,
    nothing_is_left_after_sigkill)
