# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the daemon refuses, by which error, and that nothing happens then."""

import uuid

from fake import EASY, ENDLESS, ERROR, MANAGER, MIGRATION, ROOT, Fake, refused
from gi.repository import GLib

from harness.bus import CtlError
from harness.case import check, run, same

INVALID = ERROR + "InvalidArgument"


def destinations():
    with Fake(easy=EASY) as bus:
        for scheme in ("exec", "fd", "file", "rdma"):
            refused(INVALID, f"scheme {scheme}: is not supported", migrate=lambda: bus.migrate("easy", f"{scheme}:/x"))
        for destination in ("", "there", "unix:relative", "tcp:host", "tcp:host:99999", "unix:/a\x1b[0m", "tcp::5"):
            refused(INVALID, migrate=lambda: bus.migrate("easy", destination))
        same(bus.migrations(), [], "migrations after refusals")


def options():
    with Fake(easy=EASY) as bus:
        refused(INVALID, "nonsense", unknown=lambda: bus.migrate("easy", nonsense="x"))
        refused(INVALID, "id", wrong_type=lambda: bus.migrate("easy", id=True))
        refused(INVALID, "MaxDowntime", bad_value=lambda: bus.migrate("easy", MaxDowntime="300"))
        refused(INVALID, "default, gentle", profile=lambda: bus.migrate("easy", profile="none-such"))
        refused(INVALID, "x", list_domains=lambda: bus.call(ROOT, MANAGER, "ListDomains", "(a{sv})",
                                                            {"x": GLib.Variant("b", True)}))
        refused(INVALID, "x", list_migrations=lambda: bus.migrations(x=True))
        several = {"parallel-connections": GLib.Variant("u", 2)}
        refused(ERROR + "NotSupported", "parallel-connections", several_connections=lambda: bus.call(
            ROOT, MANAGER, "Migrate", "(ssa{sv})", "easy", "unix:/there", several))
        path = bus.migrate("easy")
        refused(INVALID, "x", cancel=lambda: bus.call(path, MIGRATION, "Cancel", "(a{sv})",
                                                      {"x": GLib.Variant("b", True)}))
        refused(INVALID, "profile", limits=lambda: bus.call(path, MIGRATION, "SetLimits", "(a{sv})",
                                                            {"profile": GLib.Variant("s", "gentle")}))
        same(bus.wait_end(path)[0], "succeeded", "result all the same")


def identities():
    with Fake(easy=EASY, endless=ENDLESS) as bus:
        for bad in ("", "1", "../../etc/passwd", str(uuid.uuid4()).upper()):
            refused(INVALID, "id", bad_id=lambda: bus.migrate("easy", id=bad))
        own = str(uuid.uuid4())
        path = bus.migrate("endless", id=own)
        refused(INVALID, "id", taken=lambda: bus.migrate("easy", id=own))
        bus.call(path, MIGRATION, "Cancel", "(a{sv})", {})
        bus.wait_end(path)
        refused(INVALID, "id", taken_by_a_finished_one=lambda: bus.migrate("endless", id=own))
        bus.stop_daemon()
        bus.launch()
        refused(INVALID, "id", taken_by_a_trace=lambda: bus.migrate("easy", id=own))


def unknown_names():
    with Fake(easy=EASY) as bus:
        refused(ERROR + "NoSuchDomain", "nobody", domain=lambda: bus.call(ROOT, MANAGER, "GetDomain", "(s)", "nobody"))
        refused(ERROR + "NoSuchDomain", migrate=lambda: bus.migrate("nobody"))
        refused(ERROR + "NoSuchDomain", list=lambda: bus.migrations(domain="nobody"))
        refused(ERROR + "NoSuchMigration", id=lambda: bus.call(ROOT, MANAGER, "GetMigration", "(s)", "x\x1b"))
        refused(INVALID, "enforce, observe", mode=lambda: bus.call(ROOT, MANAGER, "SetMode", "(s)", "off"))


def a_name_that_two_share():
    with Fake(easy=EASY) as bus:
        text = open(f"{bus.fake_dir}/easy.scenario").read()
        with open(f"{bus.fake_dir}/twin.scenario", "w") as file:
            file.write(text)
        bus.wait(lambda: len(bus.call(ROOT, MANAGER, "ListDomains", "(a{sv})", {})[0]) == 2, "the twin")
        refused(INVALID, "UUID", migrate=lambda: bus.migrate("easy"))


def states():
    with Fake(easy=EASY, endless=ENDLESS) as bus:
        path = bus.migrate("endless")
        refused(ERROR + "MigrationInProgress", twice=lambda: bus.migrate("endless"))
        for state, error in (("incoming", "NotSupported"), ("shutoff", "NotSupported"),
                             ("unresponsive", "BackendLost"), ("connecting", "BackendLost"), ("faulty", "BackendLost")):
            bus.do("easy", f"state {state}")
            refused(ERROR + error, "easy cannot be migrated", migrate=lambda: bus.migrate("easy"))
        bus.do("easy", "state paused")
        bus.migrate("easy")
        refused(ERROR + "NotSupported", "not enabled",
                postcopy=lambda: bus.call(path, MIGRATION, "SwitchToPostcopy", "(a{sv})", {}))


def profile_says_no():
    with Fake(endless=ENDLESS) as bus:
        path = bus.migrate("endless", postcopy=True, Allow="none", Deadline="none")
        bus.wait_signal("PassCompleted", path)
        refused(ERROR + "NotAllowedByProfile", "default",
                postcopy=lambda: bus.call(path, MIGRATION, "SwitchToPostcopy", "(a{sv})", {}))


def after_the_end():
    with Fake(easy=EASY) as bus:
        path = bus.migrate("easy")
        bus.wait_end(path)
        refused(ERROR + "NotSupported", "ended", cancel=lambda: bus.call(path, MIGRATION, "Cancel", "(a{sv})", {}))
        refused(ERROR + "NotSupported", "ended", limits=lambda: bus.call(path, MIGRATION, "SetLimits", "(a{sv})", {}))


def the_hypervisor_refuses():
    with Fake(easy=EASY) as bus:
        own = str(uuid.uuid4())
        refused(ERROR + "NotSupported", "connection refused",
                migrate=lambda: bus.migrate("easy", "unix:/nowhere", id=own))
        path = bus.call(ROOT, MANAGER, "GetMigration", "(s)", own)[0]
        result, report = bus.wait_end(path)
        same((result, report["error"]), ("failed", "connection refused"), "result and error")
        same(bus.wait_end(bus.migrate("easy"))[0], "succeeded", "the next one")


def nothing_can_be_set():
    with Fake(easy=EASY) as bus:
        try:
            bus.call(ROOT, "org.freedesktop.DBus.Properties", "Set", "(ssv)", MANAGER, "Mode",
                     GLib.Variant("s", "observe"))
        except Exception as e:
            check("InvalidArgs" in str(e) or "not writable" in str(e), f"Set: {e}")
        else:
            raise AssertionError("a property was set")
        same(bus.get(ROOT, MANAGER)["Mode"], "enforce", "mode")


def what_only_libvirt_has():
    """By the verbs of migrationctl, and with its exit codes."""
    with Fake(easy=EASY) as bus:
        for code, word, verb in ((1, "backend fake", "set-profile easy gentle"),
                                 (2, "default, gentle", "set-profile easy none-such --persistent"),
                                 (1, "parallel-connections", "migrate easy unix:/there --parallel=2"),
                                 (3, "nobody", "dirty-rate nobody"), (3, "nobody", "set-profile nobody gentle")):
            try:
                bus.text(*verb.split())
                raise AssertionError(f"{verb} was accepted")
            except CtlError as e:
                same(e.code, code, f"exit status of {verb} ({e})")
                check(word in str(e), f"{verb}: {e}")
        same(bus.migrations(), [], "migrations after refusals")
        report = bus.json("migrate", "easy", "unix:/there", "--postcopy", "--parallel=1", "--wait")
        same(report["Result"], "succeeded", "result")


run(what_only_libvirt_has, destinations, options, identities, unknown_names, a_name_that_two_share, states,
    profile_says_no, after_the_end, the_hypervisor_refuses, nothing_can_be_set)
