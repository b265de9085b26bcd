# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manager.Evacuate and migrationctl evacuate: every guest leaves or it is said why not, so many at a time, and what
waits for its turn can be held, cancelled and taken over."""

import json
import os
import subprocess

from fake import DOMAIN, EASY, ENDLESS, ERROR, MANAGER, MIGRATION, ROOT, Fake, as_nobody, refused
from gi.repository import Gio, GLib

from harness.bus import CtlError
from harness.case import Skip, check, run, same

FOREVER = {"Deadline": "none", "Allow": "none"}


def evacuate(bus: Fake, destination: str = "unix:/there", at_once: int | None = None, **options) -> tuple[list, dict]:
    """The migrations' paths, and what was refused: name of the domain -> (error, text)."""
    values = {k: GLib.Variant("b" if isinstance(v, bool) else "s", v) for k, v in options.items()}
    if at_once is not None:
        values["at-once"] = GLib.Variant("u", at_once)
    paths, rows = bus.call(ROOT, MANAGER, "Evacuate", "(sa{sv})", destination, values)
    names = {d["Object"]: name for name, d in bus.domains().items()}
    return paths, {names[path]: (error.removeprefix(ERROR), text) for path, error, text in rows}


def names(bus: Fake, paths: list[str]) -> list[str]:
    return [bus.get(path)["DomainName"] for path in paths]


def hold(bus: Fake, domain: str, who: str, why: str) -> int:
    """The descriptor of a lease."""
    answer, fds = bus.connection().call_with_unix_fd_list_sync(
        "org.migrationd1", ROOT, MANAGER, "Hold", GLib.Variant("(ssss)", (domain, "migrate", who, why)), None,
        Gio.DBusCallFlags.NONE, 10000, None, None)
    return fds.get(answer.unpack()[0])


def cancel(bus: Fake, path: str):
    bus.call(path, MIGRATION, "Cancel", "(a{sv})", {})


def one_after_another():
    with Fake(a=ENDLESS, b=EASY, c=EASY) as bus:
        paths, stay = evacuate(bus, **FOREVER)
        same((names(bus, paths), stay), (["a", "b", "c"], {}), "answer")
        bus.wait_signal("PassCompleted", paths[0])
        same([bus.get(p)["State"] for p in paths], ["precopy", "queued", "queued"], "states")
        same([bus.get(p)["Destination"] for p in paths], ["unix:/there"] * 3, "destinations")
        cancel(bus, paths[0])
        same([bus.wait_end(p)[0] for p in paths], ["canceled", "succeeded", "succeeded"], "results")
        same([s.path for s in bus.signals if s.name == "Finished"], paths, "order")
        same({name: d["State"] for name, d in bus.domains().items()},
             {"a": "running", "b": "shutoff", "c": "shutoff"}, "states of the guests")
        same(names(bus, evacuate(bus, **FOREVER)[0]), ["a"], "once more")


def several_at_once():
    with Fake(a=ENDLESS, b=ENDLESS, c=ENDLESS) as bus:
        paths, _ = evacuate(bus, at_once=2, **FOREVER)
        for path in paths[:2]:
            bus.wait_signal("PassCompleted", path)
        same([bus.get(p)["State"] for p in paths], ["precopy", "precopy", "queued"], "states")
        cancel(bus, paths[1])
        bus.wait_signal("PassCompleted", paths[2])
        same(bus.get(paths[0])["State"], "precopy", "the other one")


def the_queue_ends_with_the_daemon():
    """Which says so: a host that is only half empty must not look as if it were going to be."""
    with Fake(a=ENDLESS, b=EASY) as bus:
        paths, _ = evacuate(bus, **FOREVER)
        bus.wait_signal("PassCompleted", paths[0])
        same(bus.stop_daemon(), 0, "status of the daemon")
        check("waited for its turn, and is forgotten" in bus.log_text(), bus.log_text())
        bus.launch()
        bus.wait(lambda: "b" in bus.domains(), "the domain")
        same([m["DomainName"] for m in bus.migrations() if m["State"] == "queued"], [], "queue of the next daemon")


def who_stays_and_why():
    with Fake(busy=ENDLESS, easy=EASY, gone=EASY, held=EASY, silent=EASY, waits=EASY) as bus:
        for name, state in (("gone", "shutoff"), ("silent", "unresponsive"), ("waits", "incoming")):
            bus.do(name, f"state {state}")
        own = bus.migrate("busy", **FOREVER)
        bus.wait_signal("PassCompleted", own)
        lease = hold(bus, "held", "backup", "a \x1bwhy")
        paths, stay = evacuate(bus)
        same(names(bus, paths), ["easy"], "those that leave")
        same({name: error for name, (error, _) in stay.items()},
             {"busy": "MigrationInProgress", "held": "Held", "silent": "BackendLost", "waits": "NotSupported"},
             "those that stay")
        same(stay["held"][1], "held is held by backup: a \\x1bwhy", "text")
        same(bus.wait_end(paths[0])[0], "succeeded", "result")
        os.close(lease)
        check("held: stays here at an evacuation: held is held by backup" in bus.log_text(), "the log does not say it")


def what_comes_before_its_turn():
    with Fake(a=ENDLESS, b=EASY, c=EASY, d=EASY, e=EASY) as bus:
        paths, _ = evacuate(bus, **FOREVER)
        first, canceled, held, taken, removed = paths
        bus.wait_signal("PassCompleted", first)
        cancel(bus, canceled)
        result, report = bus.wait_end(canceled)
        same((result, report["error"]), ("canceled", "cancelled before its turn came"), "one that is cancelled")
        bus.call(held, MIGRATION, "SetLimits", "(a{sv})", {"MaxDowntime": GLib.Variant("s", "1s")})
        refused(ERROR + "NotSupported", "waits for its turn",
                postcopy=lambda: bus.call(held, MIGRATION, "SwitchToPostcopy", "(a{sv})", {}))
        refused(ERROR + "NotSupported", "no trace before it begins",
                trace=lambda: bus.call(held, MIGRATION, "OpenTrace"))
        same(bus.json("predict", "c", "--seconds=1")["known"], True, "a prediction of one that waits")
        lease = hold(bus, "c", "x", "y")
        bus.do("d", "migrate")
        result, report = bus.wait_end(taken)
        same((result, "somebody else" in report["error"]), ("canceled", True), "one that somebody else began")
        same(bus.wait_signal("Finished", bus.wait_external()).values[0], "succeeded", "that one")
        bus.remove("e")
        same(bus.wait_end(removed)[0], "failed", "one whose hypervisor has gone")
        same(bus.get(first)["State"], "precopy", "the one before them")
        cancel(bus, first)
        result, report = bus.wait_end(held)
        same((result, report["error"]), ("failed", "c is held by x: y"), "one that is held when its turn comes")
        os.close(lease)
        path = bus.domains()["c"]["Object"]
        bus.wait(lambda: bus.get(path, DOMAIN)["Holds"] == [], "the end of the lease")
        bus.wait_end(bus.migrate("c"))


def a_guest_that_waits_is_taken():
    with Fake(a=ENDLESS, b=EASY) as bus:
        evacuate(bus, **FOREVER)
        refused(ERROR + "MigrationInProgress", "b is being migrated", migrate=lambda: bus.migrate("b"))
        paths, stay = evacuate(bus)
        same((paths, {n: e for n, (e, _) in stay.items()}),
             ([], {"a": "MigrationInProgress", "b": "MigrationInProgress"}), "a second evacuation")


def wrong_calls():
    with Fake(easy=EASY) as bus:
        for says, options in (("id", {"id": "11111111-1111-1111-1111-111111111111"}), ("sofa", {"sofa": "x"}),
                              ("MaxDowntime", {"MaxDowntime": "long"}), ("none of the profiles", {"profile": "fast"}),
                              ("at-once", {"at_once": 0}), ("at-once", {"at_once": 17})):
            refused(ERROR + "InvalidArgument", says, evacuate=lambda: evacuate(bus, **options))
        paths, stay = evacuate(bus, "exec:/bin/true")
        same((paths, stay["easy"][0]), ([], "InvalidArgument"), "a destination that nobody can go to")
        check("exec" in stay["easy"][1], stay["easy"][1])
        same(bus.migrations(), [], "migrations")
    with Fake() as bus:
        same(evacuate(bus), ([], {}), "without guests")


def nobody_may_not():
    if os.geteuid() != 0:
        raise Skip("only root can become somebody else")
    with Fake(easy=EASY) as bus:
        same(as_nobody(bus, [f"{ROOT} {MANAGER} Evacuate ('unix:/there', @a{{sv}} {{}})"]),
             ["org.freedesktop.DBus.Error.AccessDenied"], "answer")
        same(bus.migrations(), [], "migrations")


def ctl(bus: Fake, *arguments: str) -> tuple[int, str, str]:
    """Exit status, output, and what is said to people."""
    with bus.popen(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        output, said = process.communicate(timeout=60)
    return process.returncode, output, said


def the_verb():
    with Fake(a=EASY, b=EASY) as bus:
        code, output, said = ctl(bus, "evacuate", "unix:/there", "--wait", "--at-once=2", "--option=Deadline=none")
        same((code, said), (0, ""), "with --wait")
        lines = output.splitlines()
        same([line.split(":")[0] for line in lines[:2]], ["a", "b"], "lines")
        check(all("succeeded" in line for line in lines[2:]) and len(lines) == 4, output)
        same(ctl(bus, "evacuate", "unix:/there"), (0, "", ""), "nobody is left")
    with Fake(a=EASY, b=EASY, c=ENDLESS) as bus:
        bus.do("b", "state unresponsive")
        bus.migrate("c", **FOREVER)
        code, output, said = ctl(bus, "evacuate", "unix:/there", "--json=short")
        same(code, 1, "exit status: guests stay")
        answer = json.loads(output)
        same([m["DomainName"] for m in answer["Migrations"]], ["a"], "migrations")
        same([(r["Name"], r["Error"]) for r in answer["Refused"]],
             [("b", ERROR + "BackendLost"), ("c", ERROR + "MigrationInProgress")], "refused")
        check("b stays here: " in said and "c stays here: c is being migrated" in said, said)
        bus.wait_end(answer["Migrations"][0]["Object"])
    with Fake(a=ENDLESS) as bus:
        code, output, _ = ctl(bus, "evacuate", "unix:/nowhere", "--wait")
        same(code, 1, "exit status: it failed")
        check("a: failed" in output and "connection refused" in output, output)
        code, _, said = ctl(bus, "evacuate", "unix:/there", "--wait", "--timeout=1ms", "--option=Deadline=none")
        same((code, "1 not finished" in said), (6, True), f"--timeout: {said}")
        for arguments in (("evacuate",), ("evacuate", "unix:/there", "--at-once=0"),
                          ("migrate", "a", "unix:/there", "--at-once=2")):
            same(ctl(bus, *arguments)[0], 2, f"exit status of {arguments}")
        try:
            bus.text("evacuate", "unix:/there", "--option=Sofa=1")
        except CtlError as e:
            same((e.code, "Sofa" in str(e)), (2, True), "an unknown key")
        else:
            raise AssertionError("an unknown key was taken")


run(one_after_another, several_at_once, the_queue_ends_with_the_daemon, who_stays_and_why, what_comes_before_its_turn,
    a_guest_that_waits_is_taken, wrong_calls, nobody_may_not, the_verb)
