# SPDX-License-Identifier: LGPL-2.1-or-later
"""Somebody else at the controls: migrations found, knobs turned by others, failures, hypervisors that go away."""

import json

from fake import EASY, ENDLESS, MANAGER, MIGRATION, PLATEAU, ROOT, Fake

from harness.case import check, run, same


def lines(bus: Fake, path: str, kind: str) -> list[dict]:
    migration = path.rsplit("/", 1)[1].replace("_", "-")
    with open(bus.trace(migration)) as file:
        return [line for line in map(json.loads, file) if line["kind"] == kind]


def a_migration_is_found():
    with Fake(easy=EASY) as bus:
        bus.do("easy", "migrate")
        path = bus.wait_external()
        shown = bus.get(path)
        same((shown["Origin"], shown["Destination"]), ("external", ""), "origin and destination")
        same(bus.wait_end(path)[0], "succeeded", "result")


def one_with_auto_converge_is_steered():
    with Fake(plateau=PLATEAU) as bus:
        bus.do("plateau", "auto-converge 1", "migrate")
        path = bus.wait_external()
        same(bus.wait_end(path)[0], "succeeded", "result")
        check(any("throttle" in a["action"] for a in lines(bus, path, "action")), "not throttled")


def a_way_in_is_not_watched():
    with Fake(easy=EASY) as bus:
        bus.do("easy", "state incoming", "migrate")
        bus.wait(lambda: bus.domains()["easy"]["State"] == "shutoff", "its end")
        same(bus.migrations(), [], "migrations")


def somebody_else_turns_a_knob():
    with Fake(endless=ENDLESS) as bus:
        path = bus.migrate("endless", Deadline="none")
        bus.wait_signal("PassCompleted", path)
        bus.do("endless", "downtime-limit 2000000")
        foreign = bus.wait(lambda: [s for s in bus.heard("Decided", path) if s.values[2] == "foreign-change"],
                           "a foreign change")[0]
        text = foreign.values[3]["Text"]
        check("downtime-limit from " in text and " to 2.0 s" in text, text)
        same(foreign.values[3]["Enforced"], False, "Enforced")
        abilities = [o["abilities"]["can"] for o in lines(bus, path, "outcome") if "abilities" in o]
        check(abilities and "set-downtime" not in abilities[-1] and "throttle" in abilities[-1], f"{abilities}")
        bus.call(path, MIGRATION, "Cancel", "(a{sv})", {})
        bus.wait_end(path)
        again = bus.migrate("endless", Deadline="none", Allow="none", MaxDowntime="5s")
        same(lines(bus, again, "start")[0]["saved"]["downtime-limit"], 2_000_000, "their value after the end")


def it_fails():
    with Fake(endless=ENDLESS) as bus:
        path = bus.migrate("endless", Deadline="none")
        bus.wait(lambda: bus.get(path)["State"] == "precopy", "the first pass")
        bus.do("endless", "fail")
        result, report = bus.wait_end(path)
        same((result, report["error"]), ("failed", "made to fail"), "result and error")


def the_hypervisor_goes_away():
    with Fake(endless=ENDLESS) as bus:
        path = bus.migrate("endless", Deadline="none")
        bus.wait(lambda: bus.get(path)["State"] == "precopy", "the first pass")
        bus.remove("endless")
        result, report = bus.wait_end(path)
        same((result, report["error"]), ("failed", "the hypervisor process went away"), "result and error")
        same(bus.domains(), {}, "domains")
        same(bus.get(path)["Result"], "failed", "it is still shown")


def observe_touches_nothing():
    with Fake("--mode=observe", plateau=PLATEAU) as bus:
        same(bus.get(ROOT, MANAGER)["Mode"], "observe", "mode")
        bus.do("plateau", "auto-converge 1", "cpu-throttle-initial 1", "cpu-throttle-increment 1")
        path = bus.migrate("plateau", Deadline="none")
        wanted = bus.wait(lambda: [s.values for s in bus.heard("Decided", path) if s.values[1] != "wait"], "a decision")
        check(not any(d[3]["Enforced"] for d in wanted), "enforced")
        same((lines(bus, path, "action"), lines(bus, path, "start")[0]["touched"]), ([], []), "actions and knobs set")
        same(lines(bus, path, "start")[0]["mode"], "observe", "mode in the trace")
        bus.call(ROOT, MANAGER, "SetMode", "(s)", "enforce")
        bus.wait(lambda: lines(bus, path, "action"), "an action")
        bus.call(path, MIGRATION, "Cancel", "(a{sv})", {})
        bus.wait_end(path)


run(a_migration_is_found, one_with_auto_converge_is_steered, a_way_in_is_not_watched, somebody_else_turns_a_knob,
    it_fails, the_hypervisor_goes_away, observe_touches_nothing)
