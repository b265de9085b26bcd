# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest with a dirty ring is slowed by limits of what its vCPUs may dirty: it gets across, a vCPU that reads keeps
its speed, and no limit stays behind, whatever happens."""

import time

from harness.case import check, needs_kvm, run, same
from harness.pair import Pair
from harness.stage import NAME, check_arrival, check_stays, knobs, stage, trace, wait_restored

RING = 1024  # between two looks at a ring the guest writes as fast as it likes: that much, and no limit is finer
PLATEAU = "ws=64 rate=90 exits=1"
WHY = "rings are KVM's"


def limits(pair: Pair) -> list[int]:
    """MiB/s, of each vCPU that has one."""
    return [row["limit-rate"] for row in pair.source.qmp.command("query-vcpu-dirty-limit")]


def wait_for(look, what: str, timeout: float = 40):
    end = time.monotonic() + timeout
    while not (found := look()):
        check(time.monotonic() < end, f"{what} not seen in {timeout:.0f} s")
        time.sleep(0.02)
    return found


def wait_no_limits(pair: Pair):
    wait_for(lambda: not limits(pair), "end of the limits", 10)


def wait_ring(bus):
    wait_for(lambda: bus.json("write-protect", NAME)["WriteProtect"] == "dirty-ring", "the ring", 10)


def speed(pair: Pair, since, until) -> float:
    """Pages that the second vCPU read, a second."""
    return (until.read - since.read) % 2**32 / (until.up - since.up) * 1000


def plateau_arrives_by_limits():
    needs_kvm(WHY)
    with stage(PLATEAU, tapped=True, ring=RING) as (bus, pair):
        wait_ring(bus)
        before = knobs(pair)
        report = bus.json("migrate", NAME, pair.uri, "--wait")
        same(report["Result"], "succeeded", "result")
        same(report["write_protect"], "dirty-ring", "mechanism in the report")
        check_arrival(pair, bus.max_downtime_ms())
        wait_no_limits(pair)
        wait_restored(pair, before)
        sent = [c.name for c in pair.tap.actions()]
        check("set-vcpu-dirty-limit" in sent, f"no limit was set: {sent}")
        same(sent.count("cancel-vcpu-dirty-limit") > 0, True, "limits taken away")
        check(not any("cpu-throttle" in c.arguments or '"auto-converge", "state": true' in c.arguments
                      for c in pair.tap.actions()), "QEMU's own throttle was used as well")
        same(trace(bus, report["Id"], "start")[0]["write_protect"], "dirty-ring", "mechanism in the trace")
        highest = max(line.get("throttle_pct", 0) for line in trace(bus, report["Id"], "sample"))
        check(0 < highest <= 80, f"throttled to {highest} %, 80 allowed")
        bus.text("replay", bus.trace(report["Id"]), "--check")


def reader_keeps_its_speed():
    """The second vCPU reads the same pages all the time: it is not what has to be slowed."""
    needs_kvm(WHY)
    # More than QEMU lets pass over a limit (25 MiB/s), and passes that are long enough to look at one.
    with stage("ws=128 rate=120 exits=1 reader=1", ring=RING) as (bus, pair):
        wait_ring(bus)
        console = pair.source.console
        first = console.last
        check(first.read > 0, "the second vCPU does not read")
        calm = console.wait(lambda c: c.last if c.last.up >= first.up + 1500 else None, 30, "report")
        migration = bus.json("migrate", NAME, pair.uri)["Id"]
        limit = wait_for(lambda: limits(pair), "a limit")
        settled = time.monotonic() + 1.2  # QEMU measures for a second before it limits
        same(bus.wait_finished(migration)["Result"], "succeeded", "result")
        wait_no_limits(pair)
        under = [r for r in console.reports if r.seen >= settled]
        check(len(under) > 4, "the guest was not seen under the limit for half a second")
        begin, slow = under[0], under[-1]
        free, held = speed(pair, first, calm), speed(pair, begin, slow)
        written = [(b.done - a.done) * 4096 / (b.up - a.up) / 1000 for a, b in ((first, calm), (begin, slow))]
        print(f"# limit {limit} MiB/s; written {written[0]:.0f}, then {written[1]:.0f} MB/s; read {free:.0f}, then "
              f"{held:.0f} pages/s")
        check(written[1] < written[0] * 0.7, "the writer was not slowed")
        check(held > free * 0.7, "the reader was slowed")


def no_limit_stays_after_a_cancel():
    needs_kvm(WHY)
    with stage(PLATEAU, ring=RING) as (bus, pair):
        wait_ring(bus)
        before = knobs(pair)
        migration = bus.json("migrate", NAME, pair.uri)["Id"]
        wait_for(lambda: limits(pair), "a limit")
        pair.cancel()  # behind migrationd's back
        bus.wait_finished(migration)
        wait_no_limits(pair)
        wait_restored(pair, before)
        check_stays(pair)


def no_limit_stays_after_a_crash():
    """migrationd is killed with a limit in force, and the migration ends meanwhile: the next one takes it away."""
    needs_kvm(WHY)
    with stage(PLATEAU, ring=RING) as (bus, pair):
        wait_ring(bus)
        before = knobs(pair)
        migration = bus.json("migrate", NAME, pair.uri)["Id"]
        wait_for(lambda: limits(pair), "a limit")
        bus.kill_daemon()
        pair.cancel()
        wait_for(lambda: pair.info()["status"] in ("cancelled", "completed"), "end of the migration")
        check(limits(pair), "nothing was left behind: the test proves nothing")
        bus.start_daemon()
        bus.wait_finished(migration)
        wait_no_limits(pair)
        wait_restored(pair, before)


def killed_with_a_limit_and_taken_up():
    needs_kvm(WHY)
    with stage(PLATEAU, tapped=True, ring=RING) as (bus, pair):
        wait_ring(bus)
        before = knobs(pair)
        migration = bus.json("migrate", NAME, pair.uri)["Id"]
        wait_for(lambda: limits(pair), "a limit")
        bus.kill_daemon()
        bus.start_daemon()
        same(bus.wait_finished(migration)["Result"], "succeeded", "result after the restart")
        check_arrival(pair, bus.max_downtime_ms())
        wait_no_limits(pair)
        wait_restored(pair, before)
        bus.text("replay", bus.trace(migration), "--check")


def somebody_elses_limit_stays_theirs():
    """Limits that were there before are not ours to change."""
    needs_kvm(WHY)
    with stage("ws=32 rate=20", tapped=True, ring=RING) as (bus, pair):
        wait_ring(bus)
        pair.source.qmp.command("set-vcpu-dirty-limit", dirty_rate=2000)
        bus.json("migrate", NAME, pair.uri, "--wait")
        same(limits(pair), [2000], "limits after the migration")
        same([c.name for c in pair.tap.actions() if "vcpu-dirty-limit" in c.name], [], "commands about limits")


run(plateau_arrives_by_limits, reader_keeps_its_speed, no_limit_stays_after_a_cancel, no_limit_stays_after_a_crash,
    killed_with_a_limit_and_taken_up, somebody_elses_limit_stays_theirs)
