# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one client may take of the daemon: calls, leases; and the log level that can be set while it runs."""

import os
import signal
import subprocess
import sys

from fake import (DOMAIN, EASY, ENDLESS, ERROR, LOG_CONTROL, LOG_CONTROL_PATH, MANAGER, PROPERTIES, ROOT, Fake,
                  Refused, refused)
from gi.repository import Gio, GLib

from harness.case import Skip, check, run, same

LIMITS = "org.freedesktop.DBus.Error.LimitsExceeded"
# A client that sends N calls when it is told to, and reads the answers only then. Prints how many were refused, and
# one refusal.
BURST = """
import sys
from gi.repository import Gio, GLib
bus = Gio.DBusConnection.new_for_address_sync(sys.argv[1], Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                                              | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
loop, errors, left = GLib.MainLoop(), [], int(sys.argv[2])
NAME = ("org.migrationd1", "/org/migrationd1")

def answered(connection, result):
    global left
    try:
        connection.call_finish(result)
    except GLib.Error as e:
        errors.append((Gio.DBusError.get_remote_error(e), e.message))
    left -= 1
    if not left:
        loop.quit()

if sys.argv[3] == "known":
    bus.call_sync(*NAME, "org.migrationd1.Manager", "ListDomains", GLib.Variant("(a{sv})", ({},)), None, 0, 5000, None)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(left):
    bus.call(*NAME, sys.argv[4], sys.argv[5], GLib.Variant.parse(None, sys.argv[6], None, None), None, 0, 20000, None,
             answered)
bus.flush_sync(None)
print("sent", flush=True)
loop.run()
names = {name for name, _ in errors}
print(len(errors), *names)
print(errors[0][1] if errors else "")
"""

# A client that takes a lease and keeps it until it is killed.
HOLDER = """
import sys, time
from gi.repository import Gio, GLib
bus = Gio.DBusConnection.new_for_address_sync(sys.argv[1], Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                                              | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
bus.call_with_unix_fd_list_sync("org.migrationd1", "/org/migrationd1", "org.migrationd1.Manager", "Hold",
                                GLib.Variant("(ssss)", ("endless", "migrate:steer", "x", "y")), None, 0, 10000, None,
                                None)
print("held", flush=True)
time.sleep(1000)
"""


def burst(bus: Fake, number: int, known: bool, interface: str, method: str, arguments: str, uid: int = 65534):
    """(refused, names of the errors, text of the first). The daemon sleeps until all are sent."""
    os.chmod(bus.directory, 0o711)
    command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", sys.executable, "-c", BURST,
               bus.address, str(number), "known" if known else "new", interface, method, arguments]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          cwd="/") as client:
        same(client.stdout.readline(), "ready\n", "client")
        bus.daemon.send_signal(signal.SIGSTOP)
        try:
            client.stdin.write("\n")
            client.stdin.flush()
            same(client.stdout.readline(), "sent\n", "client")
        finally:
            bus.daemon.send_signal(signal.SIGCONT)
        output, errors = client.communicate(timeout=60)
    check(client.returncode == 0, f"client: {errors}")
    first, text = output.splitlines()
    count, *names = first.split()
    return int(count), names, text


def needs_root():
    if os.geteuid() != 0:
        raise Skip("only root can become somebody else")


def a_burst_of_calls_is_cut():
    """A bus daemon has a limit of its own, of 128: we stay below it."""
    needs_root()
    with Fake(easy=EASY) as bus:
        for known, limit in ((False, 8), (True, 32)):
            refusals, names, text = burst(bus, 120, known, MANAGER, "ListDomains", "(@a{sv} {},)")
            check(refusals > 0, f"nothing was refused of 120 calls at once (limit {limit})")
            same(names, [LIMITS], "error")
            check("wait for the answers" in text, text)
        same(burst(bus, 8, False, MANAGER, "ListDomains", "(@a{sv} {},)")[0], 0, "refusals within the limit")
        same(burst(bus, 100, True, MANAGER, "ListDomains", "(@a{sv} {},)", uid=0)[0], 0, "refusals of root")
        same(bus.wait_end(bus.migrate("easy"))[0], "succeeded", "a migration after that")


class Client:
    """A connection of its own."""

    def __init__(self, bus: Fake):
        self.connection = Gio.DBusConnection.new_for_address_sync(
            bus.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
            None, None)
        self.answers = 0
        self.errors: list[tuple[str, str]] = []

    def _answered(self, connection, result):
        try:
            connection.call_finish(result)
        except GLib.Error as e:
            self.errors.append((Gio.DBusError.get_remote_error(e), e.message))
        self.answers += 1

    def send(self, number: int):
        """Returns when the bus has all of them."""
        for _ in range(number):
            self.connection.call("org.migrationd1", ROOT, MANAGER, "ListDomains", GLib.Variant("(a{sv})", ({},)), None,
                                 Gio.DBusCallFlags.NONE, 30000, None, self._answered)
        self.connection.call_sync("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId", None, None,
                                  Gio.DBusCallFlags.NONE, 10000, None)


def new_connections_are_cut_together():
    """Each keeps its own limit of 8 calls before its user is known, but all of them together have 256."""
    with Fake(easy=EASY) as bus:
        clients = [Client(bus) for _ in range(40)]
        # Who they are is asked of the bus, which has answered nothing before it has delivered all calls: exact figures.
        bus.daemon.send_signal(signal.SIGSTOP)
        try:
            for client in clients:
                client.send(8)
        finally:
            bus.daemon.send_signal(signal.SIGCONT)
        bus.wait(lambda: all(c.answers == 8 for c in clients), "an answer to each call", 30)
        errors = [e for c in clients for e in c.errors]
        same(len(errors), 40 * 8 - 256, "refusals")
        same({name for name, _ in errors}, {LIMITS}, "errors")
        check(all("256 calls of new connections" in text for _, text in errors), f"{errors[:1]}")
        check(any(not c.errors for c in clients), "nobody was served in full")
        for client in clients:
            client.send(8)
        bus.wait(lambda: all(c.answers == 16 for c in clients), "an answer to each call", 30)
        same(len([e for c in clients for e in c.errors]), len(errors), "refusals once it is known who they are")
        late = Client(bus)
        late.send(8)
        bus.wait(lambda: late.answers == 8, "an answer to each call of a new connection", 30)
        same(late.errors, [], "refusals of a new connection")


def answers_that_nobody_wants_are_counted():
    """Without it such calls would be free, and the count would never fall again."""
    needs_root()
    with Fake(easy=EASY) as bus:
        for _ in range(2000):
            message = Gio.DBusMessage.new_method_call("org.migrationd1", ROOT, MANAGER, "ListDomains")
            message.set_body(GLib.Variant("(a{sv})", ({},)))
            message.set_flags(Gio.DBusMessageFlags.NO_REPLY_EXPECTED)
            bus.connection().send_message(message, Gio.DBusSendMessageFlags.NONE)

        def answers() -> bool:
            try:
                return bool(bus.domains())
            except Refused as e:
                same(e.name, LIMITS, "error")
                return False
        bus.wait(answers, "an answer")
        for _ in range(600):
            bus.call(ROOT, MANAGER, "ListDomains", "(a{sv})", {})


def hold(bus: Fake, what: str, domain: str = "endless") -> int:
    """The descriptor of the lease."""
    answer, fds = bus.connection().call_with_unix_fd_list_sync(
        "org.migrationd1", ROOT, MANAGER, "Hold", GLib.Variant("(ssss)", (domain, what, "backup\x1b", "a snapshot")),
        None, Gio.DBusCallFlags.NONE, 10000, None, None)
    return fds.get(answer.unpack()[0])


def a_lease_keeps_a_guest_here():
    with Fake(endless=ENDLESS) as bus:
        path = bus.domains()["endless"]["Object"]
        lease = hold(bus, "migrate")
        same(bus.domains()["endless"]["Holds"], [("migrate", "backup\\x1b", "a snapshot")], "leases")
        refused(ERROR + "Held", "endless is held by backup", "a snapshot", migrate=lambda: bus.migrate("endless"))
        os.close(lease)
        bus.wait(lambda: bus.get(path, DOMAIN)["Holds"] == [], "the end of the lease")
        bus.migrate("endless")


def a_lease_keeps_hands_off():
    with Fake(endless=ENDLESS) as bus:
        lease = hold(bus, "steer")
        path = bus.migrate("endless", MaxDowntime="50ms", Deadline="none")
        bus.wait_signal("Decided", path, 2)
        check(not any(s.values[3]["Enforced"] for s in bus.heard("Decided", path)), "it was steered all the same")
        os.close(lease)
        bus.wait(lambda: any(s.values[3]["Enforced"] for s in bus.heard("Decided", path)), "hands on again")


def a_lease_ends_with_its_holder():
    with Fake(endless=ENDLESS) as bus:
        path = bus.domains()["endless"]["Object"]
        # It owns the only copy of the descriptor, and is killed: no clean end.
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, bus.address], stdout=subprocess.PIPE, text=True)
        try:
            same(holder.stdout.readline(), "held\n", "the holder")
            same([h[0] for h in bus.get(path, DOMAIN)["Holds"]], ["migrate:steer"], "leases")
        finally:
            holder.kill()
            holder.wait()
            holder.stdout.close()
        bus.wait(lambda: bus.get(path, DOMAIN)["Holds"] == [], "the end of the lease")


def leases_are_few():
    with Fake(endless=ENDLESS) as bus:
        leases = [hold(bus, "steer") for _ in range(16)]
        refused(LIMITS, "16", another=lambda: bus.call(ROOT, MANAGER, "Hold", "(ssss)", "endless", "steer", "x", "y"))
        for lease in leases:
            os.close(lease)
        path = bus.domains()["endless"]["Object"]
        bus.wait(lambda: bus.get(path, DOMAIN)["Holds"] == [], "the end of the leases")
        refused(ERROR + "InvalidArgument", "migrate, steer",
                what=lambda: bus.call(ROOT, MANAGER, "Hold", "(ssss)", "endless", "sleep", "x", "y"))
        refused(ERROR + "NoSuchDomain",
                domain=lambda: bus.call(ROOT, MANAGER, "Hold", "(ssss)", "nobody", "steer", "x", "y"))


def set_log(bus: Fake, name: str, value: str):
    bus.call(LOG_CONTROL_PATH, PROPERTIES, "Set", "(ssv)", LOG_CONTROL, name, GLib.Variant("s", value))


def the_log_level_can_be_set():
    with Fake(easy=EASY) as bus:
        same(bus.get(LOG_CONTROL_PATH, LOG_CONTROL),
             {"LogLevel": "info", "LogTarget": "auto", "SyslogIdentifier": "migrationd"}, "as started")
        set_log(bus, "LogLevel", "debug")
        same(bus.call(LOG_CONTROL_PATH, PROPERTIES, "Get", "(ss)", LOG_CONTROL, "LogLevel")[0], "debug", "level")
        set_log(bus, "LogLevel", "err")
        written = len(bus.log_text())
        bus.wait_end(bus.migrate("easy"))
        same(len(bus.log_text()), written, "size of the log at level err")
        refused("org.freedesktop.DBus.Error.InvalidArgs", "notice", level=lambda: set_log(bus, "LogLevel", "loud\x1b"))
        refused("org.freedesktop.DBus.Error.InvalidArgs", "console", target=lambda: set_log(bus, "LogTarget", "kmsg"))
        set_log(bus, "LogTarget", "null")
        set_log(bus, "LogLevel", "debug")
        same(len(bus.log_text()), written, "size of the log without a target")
        bus.call(ROOT, MANAGER, "Reload")
        same(bus.get(LOG_CONTROL_PATH, LOG_CONTROL)["LogLevel"], "info", "level after a reload: as configured")


run(a_burst_of_calls_is_cut, new_connections_are_cut_together, answers_that_nobody_wants_are_counted,
    a_lease_keeps_a_guest_here, a_lease_keeps_hands_off, a_lease_ends_with_its_holder, leases_are_few,
    the_log_level_can_be_set)
