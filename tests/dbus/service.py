# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon as a service: ready, status, watchdog, stop, the name on the bus, memory, old migrations."""

import os
import subprocess
import time
from pathlib import Path

from fake import EASY, ENDLESS, MANAGER, MIGRATION, ROOT, Fake
from service_socket import NotifySocket

from harness import paths
from harness.case import check, run, same


def ready_status_and_stop():
    with NotifySocket() as notify, Fake(easy=EASY, environment={"NOTIFY_SOCKET": notify.path}) as bus:
        notify.wait("READY=1")
        notify.wait("STATUS=0 migrations, 1 domain")
        path = bus.migrate("easy")
        notify.wait("STATUS=1 migration, 1 domain")
        bus.wait_end(path)
        notify.wait("STATUS=0 migrations, 1 domain", 2)
        bus.call(ROOT, MANAGER, "Reload")
        notify.wait("RELOADING=1")
        notify.wait("READY=1", 2)
        same(bus.stop_daemon(), 0, "exit status")
        notify.wait("STOPPING=1")
        check(not notify.heard("WATCHDOG=1"), "a watchdog that nobody asked for")


def watchdog():
    with NotifySocket() as notify, Fake(
            easy=EASY, environment={"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "600000"}):
        notify.wait("WATCHDOG=1", 4)
        beats = [when for when, _ in notify.heard("WATCHDOG=1")]
        gaps = [b - a for a, b in zip(beats[1:], beats[2:])]
        check(all(0.2 < gap < 0.5 for gap in gaps), f"half of 600 ms: {gaps}")


def stop_leaves_the_migration_alone():
    """What the next daemon needs is in the trace; nothing is put back, nothing is closed."""
    with Fake(endless=ENDLESS) as bus:
        path = bus.migrate("endless", Deadline="none")
        bus.wait_signal("Decided", path, 2)
        same(bus.stop_daemon(), 0, "exit status")
        trace = Path(bus.trace(path.rsplit("/", 1)[1].replace("_", "-"))).read_text()
        check('"kind":"finish"' not in trace and '"kind":"start"' in trace, "the trace is closed")


def an_open_trace_without_hypervisor_is_closed():
    with Fake(endless=ENDLESS) as bus:
        path = bus.migrate("endless", Deadline="none")
        bus.wait_signal("Decided", path)
        bus.kill_daemon()
        bus.launch()  # the fake hypervisor died with the daemon: a new one that never migrated
        shown = bus.wait(lambda: next((m for m in bus.migrations() if m["Object"] == path), None), "the old migration")
        bus.wait(lambda: bus.get(path)["State"] == "finished", "its end")
        same((shown["Origin"], bus.get(path)["Result"]), ("migrationd", "unknown"), "origin and result")
        bus.wait(lambda: '"kind":"finish"' in Path(bus.trace(shown["Id"])).read_text(), "the finish line")
        same(bus.wait_end(bus.migrate("endless", MaxDowntime="60s"))[0], "succeeded", "the next migration")


def another_boot():
    """Its hypervisors died with it: closed at once, nothing asked."""
    with Fake(easy=EASY) as bus:
        path = bus.migrate("easy")
        bus.wait_end(path)
        migration = path.rsplit("/", 1)[1].replace("_", "-")
        bus.stop_daemon()
        trace = Path(bus.trace(migration))
        lines = trace.read_text().splitlines()[:-1]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        trace.write_text("\n".join(lines).replace(boot, "0" * 8 + boot[8:]) + '\n{"v":1,"t_us":1,"ki')
        bus.launch()
        same(bus.get(path)["Result"], "unknown", "result")
        text = trace.read_text()
        check('"kind":"finish"' in text.splitlines()[-1], "it is not closed")
        check('"ki\n' not in text, "a cut line is still there")


def old_traces_go():
    with Fake(easy=EASY) as bus:
        Path(bus.config).write_text("[Trace]\nKeep=3\n")
        bus.call(ROOT, MANAGER, "Reload")
        traces = Path(bus.state_dir) / "traces"
        for number in range(6):
            old = traces / f"00000000-0000-0000-0000-00000000000{number}.jsonl"
            old.write_text('{"v":1,"t_us":1,"kind":"finish"}\n')
            os.utime(old, (1000 + number, 1000 + number))
        (traces / "notes.txt").write_text("not a trace")
        path = bus.migrate("easy")
        bus.wait_end(path)
        own = path.rsplit("/", 1)[1].replace("_", "-")
        bus.wait(lambda: len(list(traces.glob("*.jsonl"))) == 4, "old traces deleted")
        kept = [f"00000000-0000-0000-0000-00000000000{n}.jsonl" for n in (3, 4, 5)]
        same(sorted(p.name for p in traces.iterdir()), sorted([*kept, f"{own}.jsonl", "notes.txt"]), "files")


def sixty_four_finished_are_kept():
    with Fake(a="memory=1MiB bandwidth=1GB/s") as bus:
        paths_seen = []
        for number in range(66):
            if bus.domains().get("a", {}).get("State") == "shutoff":
                bus.do("a", "state running")
            paths_seen.append(bus.migrate("a"))
            bus.wait_end(paths_seen[-1])
        bus.wait_signal("MigrationRemoved", number=2)
        removed = [s.values for s in bus.heard("MigrationRemoved")]
        same([r[1] for r in removed], paths_seen[:2], "removed")
        check(all(r[3] == "succeeded" and "total_us" in r[4] for r in removed), f"{removed}")
        same([m["Object"] for m in bus.migrations()], paths_seen[2:], "kept")
        same(bus.migrations(active=True), [], "active ones")
        same(bus.domains()["a"]["Migration"], paths_seen[-1], "the domain's newest")
        status = Path(f"/proc/{bus.daemon.pid}/status").read_text()
        rss_kib = int(status.split("VmRSS:")[1].split()[0])
        sanitized = "libasan" in Path(f"/proc/{bus.daemon.pid}/maps").read_text()
        check(sanitized or rss_kib < 15 * 1024, f"{rss_kib} KiB of memory")


def the_name_is_taken():
    with Fake(easy=EASY) as bus:
        done = subprocess.run(
            [paths.migrationd(), f"--bus={bus.address}", f"--config={bus.config}", f"--state-dir={bus.state_dir}2",
             f"--profile-dir={bus.profile_dir}", "--backend=fake", f"--fake-dir={bus.fake_dir}"],
            text=True, capture_output=True, timeout=10, check=False)
        same(done.returncode, 1, "exit status")
        check("org.migrationd1" in done.stderr, done.stderr)
        check("easy" in bus.domains(), "the first one has gone")


def the_bus_goes_away():
    with Fake(easy=EASY) as bus:
        bus._bus.terminate()
        bus._bus.wait()
        same(bus.daemon.wait(10), 1, "exit status, so that it is started again")
        bus._connection = None


def a_bus_that_does_not_read_holds_up_no_end():
    """systemd waits for TimeoutStopSec=, 20 seconds; GDBus would for an answer, 25."""
    with Fake(easy=EASY) as bus, bus.stopped_bus():
        same(bus.stop_daemon(), 0, "status of the daemon, within ten seconds")


def idle_means_idle():
    """Nothing to do, nothing done: no timer fires with domains that rest."""
    with Fake(**{f"vm{n}": EASY for n in range(20)}) as bus:
        bus.wait(lambda: len(bus.domains()) == 20, "the domains")
        time.sleep(1.5)

        def switches() -> int:
            text = Path(f"/proc/{bus.daemon.pid}/status").read_text()
            return int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0])
        before = switches()
        time.sleep(2)
        same(switches() - before, 0, "times that the main loop woke up in two seconds")


run(ready_status_and_stop, watchdog, stop_leaves_the_migration_alone, an_open_trace_without_hypervisor_is_closed,
    another_boot, old_traces_go, sixty_four_finished_are_kept, the_name_is_taken, the_bus_goes_away,
    a_bus_that_does_not_read_holds_up_no_end, idle_means_idle)
