# SPDX-License-Identifier: LGPL-2.1-or-later
"""In the middle of a migration that migrationd steers something dies: the daemon, libvirtd, a QEMU, the other host.
Each time the result is right, and no limit, speed or throttle stays behind."""

import signal

from harness.case import check, run, same
from harness.scene import steered
from harness.site import check_arrival


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
        same(scene.bus.wait_finished(scene.migration, 15)["Result"], "unknown", "result of what nobody saw")


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


run(daemon_killed, daemon_killed_and_the_end_missed, libvirtd_killed_and_restarted, source_killed, destination_killed,
    destination_host_stops_its_libvirtd)
