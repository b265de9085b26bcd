# SPDX-License-Identifier: LGPL-2.1-or-later
"""In the middle of a migration that migrationd steers something dies: the daemon, libvirtd, a QEMU, the other host.
Each time the result is right, and no limit, speed or throttle stays behind."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from harness.bus import Bus
from harness.case import check, needs_kvm, run, same
from harness.domain import Domain
from harness.site import PLATEAU, Site, check_arrival, trace, wait_decision, wait_knobs

WHY = "under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last"
# One pass looks like a plateau, the second does not.
CONVERGING = "ws=32 rate=15 touch=16"


@dataclass
class Scene:
    site: Site
    bus: Bus
    domain: Domain
    process: subprocess.Popen  # virsh migrate
    migration: str
    reference: dict            # knobs of an untouched guest

    def ends(self, *results: str) -> dict:
        """virsh ends, and so does the migration, with one of these results."""
        output, _ = self.process.communicate(timeout=60)
        print(f"# virsh: {self.process.returncode} {' '.join(output.split())}")
        status = self.bus.wait_finished(self.migration, 30)
        check(status["Result"] in results, f"result {status['Result']} ({status['Error']}), wanted {results}")
        return status

    def stays(self):
        """The guest runs on where it was, as if nothing had happened."""
        same(self.domain.state(), "running", "state at the source")
        self.domain.runs_on()
        wait_knobs(self.domain, self.reference)


@contextmanager
def steered(guest: str = PLATEAU, *options: str) -> Iterator[Scene]:
    """A migration that is under way, and on which migrationd has already acted."""
    needs_kvm(WHY)
    with Site() as site:
        # Slow, so that it lasts: 64 MiB at 20 MiB/s.
        reference = site.knobs(speed_mib=20)
        bus = site.start_daemon()
        domain = site.start("vm", guest, speed_mib=20)
        bus.wait_domain(domain.name)
        process = domain.migrate("--auto-converge", *options)
        migration = bus.wait_migration(domain.name, 30)
        end = time.monotonic() + 30
        while not trace(bus, migration, "outcome"):
            check(time.monotonic() < end and process.poll() is None, "nothing done in 30 s")
            time.sleep(0.02)
        yield Scene(site, bus, domain, process, migration, reference)
        if process.poll() is None:
            process.kill()
        process.communicate()


def daemon_killed():
    with steered() as scene:
        scene.bus.kill_daemon()
        scene.site.start_daemon()
        same(scene.bus.wait_migration(scene.domain.name, 15), scene.migration, "the migration that was adopted")
        scene.ends("succeeded")
        same(scene.process.returncode, 0, "exit status of virsh")
        check_arrival(scene.domain, scene.bus.max_downtime_ms())


def daemon_killed_and_the_end_missed():
    with steered() as scene:
        scene.bus.kill_daemon()
        scene.site.a.virsh("domjobabort", scene.domain.name)
        scene.process.communicate(timeout=30)
        scene.site.start_daemon()
        scene.bus.wait_domain(scene.domain.name)
        scene.stays()


def daemon_killed_with_the_throttle_taken_back():
    """QEMU refuses a highest throttle under the initial one, and with it all that libvirt would put back."""
    with steered(CONVERGING, "--bandwidth", "19") as scene:
        wait_decision(scene.bus, scene.migration, lambda d: d["action"] == "release-throttle")
        scene.bus.kill_daemon()
        scene.site.a.virsh("domjobabort", scene.domain.name)
        scene.process.communicate(timeout=30)
        scene.site.start_daemon()
        scene.bus.wait_domain(scene.domain.name)
        scene.stays()


def libvirtd_killed_and_restarted():
    with steered() as scene:
        scene.site.a.kill_libvirtd()
        scene.site.a.start_libvirtd()
        scene.ends("failed", "canceled")  # libvirtd cancels it when it comes back
        scene.bus.wait_domain(scene.domain.name, 30)
        scene.stays()


def source_killed():
    with steered() as scene:
        scene.site.a.signal_qemu(scene.domain.name, signal.SIGKILL)
        status = scene.ends("failed")
        check(status["Error"], "no word about what went wrong")


def destination_killed():
    with steered() as scene:
        scene.site.b.signal_qemu(scene.domain.name, signal.SIGKILL)
        scene.ends("failed")
        scene.stays()


def destination_host_stops_its_libvirtd():
    with steered() as scene:
        scene.site.b.stop_libvirtd()
        scene.ends("failed", "canceled")
        scene.stays()


run(daemon_killed, daemon_killed_and_the_end_missed, daemon_killed_with_the_throttle_taken_back,
    libvirtd_killed_and_restarted, source_killed, destination_killed, destination_host_stops_its_libvirtd)
