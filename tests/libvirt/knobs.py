# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whose knob is whose when the daemon is not there: libvirt can always put back its own, we put back the rest, and what
somebody else has turned is left to them."""

import time

from harness.case import check, run, same
from harness.scene import SPEED_MIB, Scene, steered
from harness.site import trace, wait_decision, wait_knobs

# One pass looks like a plateau, the second does not.
CONVERGING = "ws=32 rate=15 touch=16"
# It writes all of its set within each pass, throttled or not.
STUBBORN = "ws=8 rate=60"
HALF = "Allow=throttle\nMaxThrottle=50%"
# What libvirt knows of and puts back itself.
LIBVIRTS = ("cpu-throttle-initial", "cpu-throttle-increment", "max-bandwidth", "cap:auto-converge")
ROOM_PCT = 20


def without_the_daemon(scene: Scene):
    """It dies, and somebody aborts the migration."""
    scene.bus.kill_daemon()
    scene.site.a.virsh("domjobabort", scene.domain.name)
    scene.process.communicate(timeout=30)


def next_daemon(scene: Scene):
    scene.site.start_daemon()
    scene.bus.wait_domain(scene.domain.name)
    scene.stays()


def released(scene: Scene):
    """Until an engaged throttle has been ordered back."""
    wait_decision(scene.bus, scene.migration, lambda d: d["reason"] == "throttle-useless", 60)
    check(scene.bus.status(scene.migration)["Throttle"] > ROOM_PCT, "the throttle was not engaged")


def throttle_taken_back_before_it_engaged():
    with steered(CONVERGING, "--bandwidth", "19") as scene:
        wait_decision(scene.bus, scene.migration, lambda d: d["action"] == "release-throttle")
        without_the_daemon(scene)
        next_daemon(scene)


def throttle_taken_back_and_gone():
    """QEMU refuses a highest throttle under the initial one, and with it all that libvirt would put back."""
    with steered(STUBBORN, "--bandwidth", "2", profile=HALF) as scene:
        released(scene)
        end = time.monotonic() + 30
        while scene.domain.knobs()["max-cpu-throttle"] != ROOM_PCT:
            check(time.monotonic() < end, "no room was made for libvirt")
            time.sleep(0.05)
        check(scene.bus.status(scene.migration)["Throttle"] < ROOM_PCT, "the throttle has not come down")
        without_the_daemon(scene)
        wait_knobs(scene.domain, scene.domain.knobs() | {name: scene.reference[name] for name in LIBVIRTS})
        next_daemon(scene)


def throttle_taken_back_but_not_gone():
    with steered(STUBBORN, "--bandwidth", "2", profile=HALF) as scene:
        released(scene)
        without_the_daemon(scene)
        next_daemon(scene)


def speed_is_libvirts_own_again():
    """Not the one that its initiator gave to this migration alone, also when another daemon puts it back."""
    with steered("ws=64 rate=90", "--bandwidth", "15", profile="MaxBandwidth=10MiB/s\nAllow=bandwidth") as scene:
        same([a["action"] for a in trace(scene.bus, scene.migration, "action")], ["set-bandwidth"], "actions")
        same(scene.domain.knobs()["max-bandwidth"], 10 << 20, "speed in force")
        scene.bus.kill_daemon()
        scene.site.start_daemon()
        same(scene.bus.wait_migration(scene.domain.name, 15), scene.migration, "the migration that was adopted")
        scene.bus.text("cancel", scene.migration)
        scene.ends("canceled")
        same(scene.site.a.virsh("migrate-getspeed", scene.domain.name), str(SPEED_MIB), "libvirt's own speed")
        scene.stays()


def throttle_turned_while_no_daemon_ran():
    with steered() as scene:
        end = time.monotonic() + 30
        while not trace(scene.bus, scene.migration, "knobs"):
            check(time.monotonic() < end, "the knobs in force are not recorded")
            time.sleep(0.05)
        scene.bus.kill_daemon()
        scene.site.a.virsh.monitor(scene.domain.name, "migrate-set-parameters", cpu_throttle_initial=30,
                                   max_cpu_throttle=35)
        scene.site.start_daemon()
        same(scene.bus.wait_migration(scene.domain.name, 15), scene.migration, "the migration that was adopted")
        before = len(trace(scene.bus, scene.migration, "action"))
        end = time.monotonic() + 30
        while "Somebody else changed" not in scene.bus.log_text():
            check(time.monotonic() < end, "the foreign throttle is not noticed")
            time.sleep(0.05)
        check("max-cpu-throttle from 80 % to 35 %" in scene.bus.log_text(), scene.bus.log_text()[-500:])
        scene.domain.wait_pass(scene.bus.status(scene.migration)["Pass"] + 2)
        same([a["action"] for a in trace(scene.bus, scene.migration, "action")[before:] if "throttle" in a["action"]],
             [], "throttles after it")
        scene.bus.text("cancel", scene.migration)
        scene.ends("canceled")
        scene.domain.runs_on()
        wait_knobs(scene.domain, scene.reference | {"max-cpu-throttle": 35})


run(throttle_taken_back_before_it_engaged, throttle_taken_back_and_gone, throttle_taken_back_but_not_gone,
    speed_is_libvirts_own_again, throttle_turned_while_no_daemon_ran)
