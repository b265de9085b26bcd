# SPDX-License-Identifier: LGPL-2.1-or-later
"""A migration that is cancelled leaves the guest at the source and every knob as it was."""

import subprocess
import time

from harness.bus import CtlError
from harness.case import check, needs_kvm, run, same
from harness.stage import NAME, PLATEAU, check_stays, knobs, stage, trace, wait_restored


def cancelled_after_an_action():
    needs_kvm("under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last")
    with stage(PLATEAU) as (bus, pair):
        before = knobs(pair)
        migration = bus.json("migrate", NAME, pair.uri)["Id"]
        waiting = bus.popen("migrate", NAME, pair.uri, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(waiting.wait(30) == 1 and b"" != waiting.stdout.read(), "a second migration of a domain is not refused")
        waiting.stdout.close()
        end = time.monotonic() + 30
        while not trace(bus, migration, "outcome"):
            check(time.monotonic() < end, "nothing done in 30 s")
            time.sleep(0.02)
        bus.text("cancel", migration)
        status = bus.wait_finished(migration, 15)
        same(status["Result"], "canceled", "result")
        same(pair.info()["status"], "cancelled", "QEMU's status")
        wait_restored(pair, before)
        check_stays(pair)
        try:
            bus.text("cancel", migration)
            raise AssertionError("a finished migration could be cancelled")
        except CtlError as e:
            same(e.code, 1, "exit status of cancelling a finished migration")


run(cancelled_after_an_action)
