# SPDX-License-Identifier: LGPL-2.1-or-later
"""A migration between two libvirt hosts on which migrationd has already acted: the moment at which things go wrong."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .bus import Bus
from .case import check, needs_kvm, same
from .domain import Domain
from .site import PLATEAU, Site, trace, wait_knobs

SPEED_MIB = 20  # slow, so that it lasts


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
def steered(guest: str = PLATEAU, *options: str, profile: str = "") -> Iterator[Scene]:
    """A migration that is under way, and on which migrationd has already acted. `profile` is one for this guest."""
    needs_kvm("under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last")
    with Site() as site:
        if profile:
            Path(f"{site.bus.profile_dir}/own.conf").write_text(f"[Profile]\n{profile}\n[Match]\nName=vm\n")
        reference = site.knobs(speed_mib=SPEED_MIB)
        bus = site.start_daemon()
        domain = site.start("vm", guest, speed_mib=SPEED_MIB)
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
