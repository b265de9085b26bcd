# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may call what, tried for every method that the daemon shows, as a user who may only look."""

import os
import xml.etree.ElementTree as ElementTree

from fake import ENDLESS, LOG_CONTROL, LOG_CONTROL_PATH, MANAGER, MIGRATION, ROOT, Fake, as_nobody
from gi.repository import Gio, GLib

from harness.case import Skip, check, run, same

LOOK_ONLY = {"ListDomains", "ListMigrations", "GetDomain", "GetMigration", "GetStats", "OpenTrace",
             "ListHistory", "GetCounters"}
# GDBus answers these itself; they only read.
STANDARD = {"org.freedesktop.DBus.Properties", "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer",
            "org.freedesktop.DBus.ObjectManager"}
DENIED = "org.freedesktop.DBus.Error.AccessDenied"
DUMMIES = {"s": "'x'", "a{sv}": "@a{sv} {}"}


def methods(bus: Fake, path: str) -> list[tuple[str, str, str]]:
    """Interface, method and dummy arguments of all own methods of an object."""
    tree = ElementTree.fromstring(bus.call(path, "org.freedesktop.DBus.Introspectable", "Introspect")[0])
    found = []
    for interface in tree.findall("interface"):
        if interface.get("name") in STANDARD:
            continue
        for method in interface.findall("method"):
            arguments = [DUMMIES[a.get("type")] for a in method.findall("arg") if a.get("direction") == "in"]
            text = f"({', '.join(arguments)}{',' if len(arguments) == 1 else ''})"
            found.append((interface.get("name"), method.get("name"), text))
    return found


def nobody_may_only_look():
    if os.geteuid() != 0:
        raise Skip("only root can become somebody else")
    with Fake(endless=ENDLESS) as bus:
        path = bus.migrate("endless", Deadline="none")
        domain = bus.domains()["endless"]["Object"]
        calls = [(p, *m) for p in (ROOT, path, domain) for m in methods(bus, p)]
        check(len(calls) >= 12, f"only {len(calls)} methods found")
        answers = as_nobody(bus, [" ".join(call) for call in calls])
        for (_, interface, method, _), answer in zip(calls, answers, strict=True):
            check((answer != DENIED) == (method in LOOK_ONLY), f"{interface}.{method} as nobody: {answer}")
        same(bus.get(ROOT, MANAGER)["Mode"], "enforce", "mode")
        check(bus.get(path)["State"] != "finished", "the migration was ended")


def every_method_has_a_row():
    """A method without a row in the daemon's table is denied to all, root too."""
    with Fake(endless=ENDLESS) as bus:
        path = bus.migrate("endless", Deadline="none")
        domain = bus.domains()["endless"]["Object"]
        for where in (ROOT, domain, path):
            for interface, method, arguments in methods(bus, where):
                call = bus.connection().call_sync
                try:
                    call("org.migrationd1", where, interface, method,
                         GLib.Variant.parse(None, arguments, None, None) if arguments != "()" else None, None, 0, 10000)
                except GLib.Error as e:
                    check(Gio.DBusError.get_remote_error(e) != DENIED, f"{interface}.{method} as root: {e.message}")


def nobody_may_set_the_log_level():
    if os.geteuid() != 0:
        raise Skip("only root can become somebody else")
    with Fake(endless=ENDLESS) as bus:
        text = bus.call(LOG_CONTROL_PATH, "org.freedesktop.DBus.Introspectable", "Introspect")[0]
        tree = ElementTree.fromstring(text)
        writable = [p.get("name") for p in tree.iterfind(f"interface[@name='{LOG_CONTROL}']/property")
                    if p.get("access") != "read"]
        same(writable, ["LogLevel", "LogTarget"], "properties that can be set")
        before = bus.get(LOG_CONTROL_PATH, LOG_CONTROL)
        calls = [f"{LOG_CONTROL_PATH} org.freedesktop.DBus.Properties Set ('{LOG_CONTROL}', '{name}', <'debug'>)"
                 for name in writable]
        same(as_nobody(bus, calls), [DENIED] * 2, "answers")
        same(bus.get(LOG_CONTROL_PATH, LOG_CONTROL), before, "properties")


def nobody_may_read_properties():
    if os.geteuid() != 0:
        raise Skip("only root can become somebody else")
    with Fake(endless=ENDLESS) as bus:
        properties = "org.freedesktop.DBus.Properties"
        same(as_nobody(bus, [f"{ROOT} {properties} GetAll ('{MANAGER}',)",
                             f"{ROOT} {properties} Set ('{MANAGER}', 'Mode', <'observe'>)"]),
             ["ok", "org.freedesktop.DBus.Error.InvalidArgs"], "GetAll and Set")


def the_owner_may_do_all():
    with Fake(endless=ENDLESS) as bus:
        path = bus.migrate("endless", Deadline="none")
        bus.call(path, MIGRATION, "Cancel", "(a{sv})", {})
        same(bus.wait_end(path)[0], "canceled", "result")


def who_has_left_does_no_harm():
    """The answer to the question who is calling comes after the caller has gone; the daemon lives on."""
    if os.geteuid() != 0:
        raise Skip("only root can become somebody else")
    with Fake(endless=ENDLESS) as bus:
        for _ in range(20):
            as_nobody(bus, [f"{ROOT} {MANAGER} ListDomains (@a{{sv}} {{}},)"])
        check("endless" in bus.domains(), "the daemon is gone")


run(nobody_may_only_look, every_method_has_a_row, nobody_may_set_the_log_level,
    nobody_may_read_properties,
    the_owner_may_do_all, who_has_left_does_no_harm)
