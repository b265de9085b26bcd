# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job over D-Bus: start, follow by signals and properties, end."""

import json
import os
import subprocess
import time
import uuid

from fake import DOMAIN, EASY, ENDLESS, MANAGER, MIGRATION, PLATEAU, PROPERTIES, ROOT, Fake
from gi.repository import Gio, GLib

from harness import paths
from harness.bus import NAME
from harness.case import check, run, same


def domains_are_listed():
    with Fake(easy=EASY, plateau=PLATEAU) as bus:
        domains = bus.domains()
        same(sorted(domains), ["easy", "plateau"], "domains")
        easy = domains["easy"]
        same((easy["State"], easy["Backend"], easy["MemoryBytes"], easy["Profile"], easy["ProfileSource"]),
             ("running", "fake", 16 << 20, "default", "default"), "properties of a domain")
        path = bus.call(ROOT, MANAGER, "GetDomain", "(s)", "easy")[0]
        same(path, easy["Object"], "object by name")
        same(bus.call(ROOT, MANAGER, "GetDomain", "(s)", easy["Uuid"])[0], path, "object by UUID")
        shown = bus.get(path, DOMAIN)
        same(shown | {"Object": path}, easy, "properties and list")
        objects = bus.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]
        same(objects[path][DOMAIN], shown, "managed object")


def domains_come_and_go():
    with Fake(easy=EASY) as bus:
        bus.add("late", EASY)
        bus.wait(lambda: "late" in bus.domains(), "a new domain")
        path = bus.domains()["late"]["Object"]
        bus.wait(lambda: any(s.values[0] == path for s in bus.heard("InterfacesAdded")), "InterfacesAdded")
        bus.remove("late")
        bus.wait(lambda: "late" not in bus.domains(), "its end")
        bus.wait(lambda: any(s.values[0] == path for s in bus.heard("InterfacesRemoved")), "InterfacesRemoved")


def from_start_to_end():
    with Fake(plateau=PLATEAU) as bus:
        wanted = str(uuid.uuid4())
        path = bus.migrate("plateau", id=wanted)
        same(path, f"{ROOT}/migration/{wanted.replace('-', '_')}", "object path")
        running = bus.get(path)
        same((running["Id"], running["Origin"], running["Destination"], running["Direction"], running["Result"]),
             (wanted, "migrationd", "unix:/there", "outgoing", ""), "properties at the start")
        same(bus.domains()["plateau"]["Migration"], path, "the domain's migration")
        result, report = bus.wait_end(path)
        same(result, "succeeded", "result")
        check(0 < report["downtime_us"] <= 300_000, f"pause of {report['downtime_us']} us")
        check(report["throttle_us"] > 0 and report["passes"] > 2 and report["error"] == "", f"report: {report}")
        ended = bus.get(path)
        same((ended["State"], ended["Result"], ended["Progress"], ended["RemainingBytes"]),
             ("finished", "succeeded", 1.0, 0), "properties at the end")
        same(bus.domains()["plateau"]["State"], "shutoff", "state of the domain")
        new = bus.heard("MigrationNew")
        same([s.values for s in new], [(wanted, path, ended["Domain"])], "MigrationNew")


def signals_come_in_order():
    with Fake(plateau=PLATEAU) as bus:
        path = bus.migrate("plateau")
        bus.wait_end(path)
        bus.wait(lambda: bus.call(ROOT, PROPERTIES, "Get", "(ss)", MANAGER, "Mode"), "the bus to be quiet")
        own = [s for s in bus.signals if s.path == path]
        names = [s.name for s in own]
        same(names[-1], "Finished", "the last signal")
        same(names.count("Finished"), 1, "number of Finished")
        same(names[-2], "PropertiesChanged", "the last but one")
        same(own[-2].values[1]["Result"], "succeeded", "Result in the last PropertiesChanged")
        passes = [s.values[0] for s in own if s.name == "PassCompleted"]
        same(passes, list(range(1, len(passes) + 1)), "pass numbers")
        decided = [s.values for s in own if s.name == "Decided"]
        throttles = [d for d in decided if d[1] in ("throttle", "arm-throttle")]
        check(any(d[3]["Enforced"] for d in throttles), f"no throttle: {decided}")
        for time_us, action, reason, details in decided:
            check(abs(time_us / 1e6 - time.time()) < 60, f"time of a decision: {time_us}")
            check(action and reason and len(details["Text"]) > 20 and "remaining_bytes" in details, f"{details}")
        first = names.index("PassCompleted")
        check("Decided" in names[first:], "nothing decided after the first pass")


def properties_come_at_most_once_a_second():
    with Fake(plateau=PLATEAU) as bus:
        stamps = []
        bus.connection().signal_subscribe(
            NAME, PROPERTIES, "PropertiesChanged", None, MIGRATION, Gio.DBusSignalFlags.NONE,
            lambda *_: stamps.append(time.monotonic()))
        bus.wait_end(bus.migrate("plateau"))
        gaps = [b - a for a, b in zip(stamps, stamps[1:-1])]  # the last one comes with the end
        check(len(stamps) >= 3, f"{len(stamps)} changes seen")
        check(all(g > 0.9 for g in gaps), f"gaps: {gaps}")


def trace_and_stats():
    with Fake(easy=EASY) as bus:
        path = bus.migrate("easy")
        bus.wait_signal("PassCompleted", path)
        stats = bus.call(path, MIGRATION, "GetStats")[0]
        same(stats["memory_total"], 16 << 20, "memory_total")
        bus.wait_end(path)
        answer, fds = bus.connection().call_with_unix_fd_list_sync(
            NAME, path, MIGRATION, "OpenTrace", None, GLib.VariantType("(h)"), Gio.DBusCallFlags.NONE, 5000, None, None)
        with os.fdopen(fds.get(answer.unpack()[0])) as file:
            lines = [json.loads(line) for line in file]
        same((lines[0]["kind"], lines[-1]["kind"]), ("start", "finish"), "first and last line")
        same(lines[-1]["result"], "succeeded", "result in the trace")
        migration = path.rsplit("/", 1)[1].replace("_", "-")
        subprocess.run([paths.migrationctl(), "replay", "--check", bus.trace(migration)], check=True,
                       stdout=subprocess.DEVNULL)


def a_profile_and_single_limits():
    with Fake(easy=EASY) as bus:
        path = bus.migrate("easy", profile="low-downtime", MaxThrottle="10%")
        same(bus.get(path)["Profile"], "low-downtime", "profile")
        result, report = bus.wait_end(path)
        same(result, "succeeded", "result")
        check(report["downtime_us"] <= 100_000, f"pause of {report['downtime_us']} us")
        migration = path.rsplit("/", 1)[1].replace("_", "-")
        with open(bus.trace(migration)) as file:
            start = json.loads(file.readline())
        same((start["profile"]["MaxDowntime"], start["profile"]["MaxThrottle"]), ("100ms", "10%"), "limits in force")
        same("downtime-limit" in start["touched"], True, "limit set at the start")


def cancel():
    with Fake(endless=ENDLESS) as bus:
        path = bus.migrate("endless")
        bus.wait(lambda: bus.get(path)["State"] == "precopy", "the first pass")
        bus.call(path, MIGRATION, "Cancel", "(a{sv})", {})
        result, report = bus.wait_end(path)
        same(result, "canceled", "result")
        check(report["error"], "no word on who cancelled")
        same(bus.domains()["endless"]["State"], "running", "state of the domain")
        again = bus.migrate("endless")  # and the knobs are as they were
        migration = again.rsplit("/", 1)[1].replace("_", "-")
        with open(bus.trace(migration)) as file:
            saved = json.loads(file.readline())["saved"]
        same((saved["auto-converge"], saved["cpu-throttle-initial"], saved["max-cpu-throttle"]), (False, 20, 99),
             "knobs after the first migration")


def limits_change_under_way():
    with Fake(endless=ENDLESS) as bus:
        path = bus.migrate("endless", Allow="downtime", Deadline="none")
        bus.wait_signal("PassCompleted", path)
        limits = {"MaxDowntime": GLib.Variant("s", "30s")}
        bus.call(path, MIGRATION, "SetLimits", "(a{sv})", limits)
        result, report = bus.wait_end(path)
        same(result, "succeeded", "result")
        check(report["downtime_us"] > 300_000, f"pause of {report['downtime_us']} us")


def postcopy():
    with Fake(endless=ENDLESS) as bus:
        path = bus.migrate("endless", postcopy=True, Allow="post-copy", Deadline="none")
        bus.wait(lambda: bus.get(path)["State"] in ("precopy", "postcopy"), "the first pass")
        if bus.get(path)["State"] == "precopy":
            bus.call(path, MIGRATION, "SwitchToPostcopy", "(a{sv})", {})
        bus.wait(lambda: bus.get(path)["State"] in ("postcopy", "finished"), "post-copy")
        same(bus.wait_end(path)[0], "succeeded", "result")


run(domains_are_listed, domains_come_and_go, from_start_to_end, signals_come_in_order,
    properties_come_at_most_once_a_second, trace_and_stats, a_profile_and_single_limits, cancel,
    limits_change_under_way, postcopy)
