# SPDX-License-Identifier: LGPL-2.1-or-later
"""migrationctl metrics: read by a parser of OpenMetrics, checked against what happened, and written as a whole."""

import os
import socket
import stat
import time
from pathlib import Path

from fake import DOMAIN, EASY, ENDLESS, MANAGER, PROPERTIES, ROOT, Fake
from gi.repository import Gio, GLib
from prometheus_client import parser as prometheus
from prometheus_client.openmetrics import parser as openmetrics

from harness import paths, promtool
from harness.bus import NAME, Bus
from harness.case import Skip, check, run, same


def read(bus: Bus) -> dict[str, dict[frozenset, float]]:
    """Name of a sample -> labels -> value."""
    samples: dict = {}
    for family in openmetrics.text_string_to_metric_families(bus.text("metrics")):
        for sample in family.samples:
            check(sample.timestamp is None, f"{sample.name} has a time stamp")
            check(frozenset(sample.labels.items()) not in samples.setdefault(sample.name, {}), f"{sample} twice")
            samples[sample.name][frozenset(sample.labels.items())] = sample.value
    return samples


def of(samples: dict, metric: str, /, **labels: str) -> float | None:
    return samples.get(f"migrationd_{metric}", {}).get(frozenset(labels.items()))


def a_running_migration_and_its_end():
    with Fake(endless=ENDLESS, easy=EASY) as bus:
        uuid = bus.domains()["endless"]["Uuid"]
        before = read(bus)
        same(of(before, "domain_info", domain=uuid, name="endless", backend="fake", state="running", profile="default"),
             1, "info")
        same([n for n in before if n.startswith("migrationd_migration_memory")], [], "series of migrations")
        path = bus.migrate("endless", Deadline="none", Allow="none")
        bus.wait_signal("PassCompleted", path)
        running = read(bus)
        same(of(running, "migrations_active", direction="outgoing", state="precopy"), 1, "active")
        same(of(running, "migration_memory_total_bytes", domain=uuid), 64 << 20, "total")
        check(of(running, "migration_transfer_rate_bytes_per_second", domain=uuid) > 1e6, "transfer rate")
        check(0 <= of(running, "migration_throttle_ratio", domain=uuid) <= 1, "throttle")
        check(of(running, "decisions_total", action="wait", reason="first-pass") >= 1, "decisions")
        bus.call(path, "org.migrationd1.Migration", "Cancel", "(a{sv})", {})
        bus.wait_end(path)
        result, report = bus.wait_end(bus.migrate("easy"))
        same(result, "succeeded", "result")
        after = read(bus)
        same([n for n in after if n.startswith("migrationd_migration_memory")], [], "series of ended migrations")
        for result, name in (("canceled", "endless"), ("succeeded", "easy")):
            mechanism = bus.domains()[name]["WriteProtect"]
            same(of(after, "migrations_total", direction="outgoing", result=result, mechanism=mechanism), 1, result)
        same(of(after, "migration_duration_seconds_count"), 1, "duration: count")
        check(abs(of(after, "migration_duration_seconds_sum") - report["total_us"] / 1e6) < 1e-6, "duration: sum")
        same(of(after, "migration_duration_seconds_bucket", le="+Inf"), 1, "duration: all")
        same(of(after, "migrations_active", direction="outgoing", state="precopy"), 0, "active")


def a_measured_rate_says_how():
    with Fake(easy=EASY) as bus:
        domain = bus.domains()["easy"]
        same(domain["DirtyRateMethod"], "", "never measured")
        same("migrationd_domain_dirty_rate_bytes_per_second" in read(bus), False, "series of what is not known")
        options = {"mode": GLib.Variant("s", "page-sampling")}
        rate = bus.call(domain["Object"], DOMAIN, "MeasureDirtyRate", "(a{sv})", options)[0]["DirtyRate"]
        same((bus.domains()["easy"]["DirtyRate"], bus.domains()["easy"]["DirtyRateMethod"]), (rate, "page-sampling"),
             "properties")
        same(of(read(bus), "domain_dirty_rate_bytes_per_second", domain=domain["Uuid"], method="page-sampling"), rate,
             "series")


def errors_of_monitors_are_counted():
    """By a monitor of a bare QEMU that talks no QMP, and is tried again and again."""
    with Bus() as bus:
        bus.start_daemon("--backend=qmp", f"--qmp-dir={bus.directory}/qmp")
        kinds = {dict(labels)["kind"]: n for labels, n in read(bus)["migrationd_qmp_errors_total"].items()}
        same(kinds, dict.fromkeys(("generic-error", "command-not-found", "other-error", "malformed", "implausible",
                                   "flood", "timed-out", "connection-lost"), 0), "as it starts")
        check("migrationd_libvirt_up" not in read(bus), "libvirt, which is none of the backends")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{bus.directory}/qmp/rude.qmp")
            listener.listen()
            listener.settimeout(20)
            for number in (1, 2):
                with listener.accept()[0] as peer:
                    peer.sendall(b"NO CARRIER\n")
                    peer.settimeout(20)
                    same(peer.recv(1), b"", "the connection is closed")
                same(of(read(bus), "qmp_errors_total", kind="malformed"), number, "malformed")
        same(sum(read(bus)["migrationd_qmp_errors_total"].values()), 2, "errors of all kinds")
        same(bus.stop_daemon(), 0, "status of the daemon")


def libvirt_is_up_or_not():
    """By a libvirt that is not there, and by the one that libvirt's library plays by itself."""
    if not os.path.exists(os.path.join(os.path.dirname(paths.migrationd()), "backend-libvirt.so")):
        raise Skip("built without libvirt")
    for uri, up in (("qemu+unix:///system?socket=/nonexistent/socket", 0), ("test:///default", 1)):
        with Bus() as bus:
            bus.start_daemon("--backend=libvirt", f"--libvirt-uri={uri}")
            end = time.monotonic() + 20
            while "libvirt" not in bus.log_text():  # one line says how it went
                check(time.monotonic() < end, "nothing is said about libvirt")
                time.sleep(0.02)
            same(of(read(bus), "libvirt_up"), up, f"{uri}: up")
            problems = bus.connection().call_sync(
                NAME, ROOT, PROPERTIES, "Get", GLib.Variant("(ss)", (MANAGER, "BackendProblems")), None,
                Gio.DBusCallFlags.NONE, 5000, None).unpack()[0]
            same(list(problems), [] if up else ["libvirt"], f"{uri}: problems")
            check(up or "/nonexistent/socket" in problems["libvirt"], f"{problems}")
            same(bus.stop_daemon(), 0, "status of the daemon")


def names_are_escaped():
    with Fake(**{'we"i\\\\xd': EASY}) as bus:
        names = [dict(labels)["name"] for labels in read(bus)["migrationd_domain_info"]]
        same(names, ['we"i\\xd'], "names")


def the_older_format_is_fine_with_it():
    """The textfile collector reads that one."""
    with Fake(easy=EASY) as bus:
        bus.wait_end(bus.migrate("easy"))
        kinds = {f.name: f.type for f in prometheus.text_string_to_metric_families(bus.text("metrics"))}
        check("migrationd_domain_info" in kinds and "migrationd_migration_duration_seconds" in kinds, f"{kinds}")


def promtool_is_content_with_the_file():
    """With every series there can be: a migration under way, decisions, and one that has ended."""
    with Fake(easy=EASY, endless=ENDLESS) as bus:
        bus.wait_end(bus.migrate("easy"))
        bus.wait_signal("PassCompleted", bus.migrate("endless", Deadline="none", Allow="none"))
        path = f"{bus.directory}/migrationd.prom"
        bus.text("metrics", path)
        text = Path(path).read_text(encoding="utf-8")
        check("migrationd_migration_iteration{" in text and "migrationd_decisions_total{" in text, "series are missing")
        same(promtool.complaints(text), "", "promtool check metrics")
        check("no help text" in promtool.complaints("a_total 1\n"), "promtool finds no fault")


def a_file_is_replaced_as_a_whole():
    with Fake(easy=EASY) as bus:
        path = f"{bus.directory}/migrationd.prom"
        with open(path, "w", encoding="utf-8") as old:
            old.write("old")
        before = os.stat(path).st_ino
        same(bus.text("metrics", path), "", "output")
        after = os.stat(path)
        check(after.st_ino != before, "written in place")
        same(stat.S_IMODE(after.st_mode), 0o644, "mode")
        check(open(path, encoding="utf-8").read().endswith("# EOF\n"), "not whole")
        same(sorted(p for p in os.listdir(bus.directory) if p.startswith("migrationd.prom")), ["migrationd.prom"],
             "files")


run(a_running_migration_and_its_end, a_measured_rate_says_how, errors_of_monitors_are_counted, libvirt_is_up_or_not,
    names_are_escaped, the_older_format_is_fine_with_it, promtool_is_content_with_the_file,
    a_file_is_replaced_as_a_whole)
