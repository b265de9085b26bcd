# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sockets come and go and QEMUs die: that domain is affected, the others go on."""

import time

from harness.bus import Bus
from harness.case import check, run, same
from harness.pair import Pair
from harness.stage import BANDWIDTH_MIB, CONVERGING, NAME, check_arrival, check_stays, knobs, stage, wait_pass, \
    wait_restored

OTHER = "other"


def names(bus: Bus) -> set[str]:
    return {d["Name"] for d in bus.json("list")}


def wait_names(bus: Bus, wanted: set[str]):
    end = time.monotonic() + 10
    while names(bus) != wanted:
        check(time.monotonic() < end, f"domains {names(bus)}, wanted {wanted}")
        time.sleep(0.05)


def other(bus: Bus) -> Pair:
    return Pair(CONVERGING, OTHER, qmp_dir=bus.qmp_dir, bandwidth_mib=BANDWIDTH_MIB)


def sockets_come_and_go():
    with Bus() as bus:
        bus.start_daemon()
        same(bus.json("list"), [], "domains before there is a QEMU")
        for _ in range(2):
            with other(bus):
                wait_names(bus, {OTHER})
            wait_names(bus, set())


def source_killed():
    with stage(CONVERGING) as (bus, pair), other(bus) as survivor:
        bus.wait_domain(OTHER)
        lost = bus.json("migrate", NAME, pair.uri)["Id"]
        kept = bus.json("migrate", OTHER, survivor.uri)["Id"]
        wait_pass(bus, lost, 2)
        pair.source.kill()
        status = bus.wait_finished(lost, 15)
        check(status["Result"] in ("failed", "unknown"), f"result {status['Result']}")
        check(status["Error"], "no word about what went wrong")
        same(bus.wait_finished(kept)["Result"], "succeeded", "result of the other migration")
        check_arrival(survivor, bus.max_downtime_ms())


def destination_killed():
    with stage(CONVERGING) as (bus, pair):
        before = knobs(pair)
        migration = bus.json("migrate", NAME, pair.uri)["Id"]
        wait_pass(bus, migration, 2)
        pair.destination.kill()
        same(bus.wait_finished(migration, 15)["Result"], "failed", "result")
        check_stays(pair)
        wait_restored(pair, before)
        pair.start_destination()
        same(bus.json("migrate", NAME, pair.uri, "--wait")["Result"], "succeeded", "result of the second try")
        check_arrival(pair, bus.max_downtime_ms())


run(sockets_come_and_go, source_killed, destination_killed)
