#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists the guests of this host, or migrates one, follows it to its end and prints the report.

    follow.py                                     the guests
    follow.py VM qemu+tls://host.example/system   the migration of one

Needs python3-dasbus; any D-Bus library will do. Exits with 0 only if all went well."""

import argparse
import sys
import uuid

from dasbus.connection import AddressedMessageBus, MessageBus, SystemMessageBus
from dasbus.error import DBusError
from dasbus.loop import EventLoop
from dasbus.typing import Str, get_native, get_variant, unwrap_variant
from gi.repository import Gio

NAME, ROOT = "org.migrationd1", "/org/migrationd1"
MIB = 1 << 20


class Follower:
    """Prints what happens to one migration, and keeps its result."""

    def __init__(self, bus: MessageBus, path: str):
        self.loop = EventLoop()
        self.result = ""
        self.handlers = {"PassCompleted": self.passed, "Decided": self.decided, "Finished": self.finished}
        # By path: the object need not exist yet.
        bus.connection.signal_subscribe(NAME, "org.migrationd1.Migration", None, path, None,
                                        Gio.DBusSignalFlags.NONE, self.received)
        Gio.bus_watch_name_on_connection(bus.connection, NAME, Gio.BusNameWatcherFlags.NONE, None, self.vanished)

    def received(self, _connection, _sender, _path, _interface, signal, parameters):
        if signal in self.handlers:  # there may be more one day
            self.handlers[signal](*map(get_native, unwrap_variant(parameters)))
            sys.stdout.flush()

    def passed(self, number: int, details: dict):
        print(f"pass {number}: {details['RemainingBytes'] / MIB:.1f} MiB left, throttle {details['Throttle']} %")

    def decided(self, _time: int, action: str, reason: str, details: dict):
        print(f"{action} ({reason}): {details['Text']}")

    def finished(self, result: str, report: dict):
        print(f"{result}: {report['total_us'] / 1e6:.1f} s, pause {report['downtime_us'] / 1000:.0f} ms, "
              f"{report['transferred_bytes'] / MIB:.0f} MiB in {report['passes']} passes"
              + (f"; {report['error']}" if report["error"] else ""))
        self.result = result
        self.loop.quit()

    def vanished(self, _connection, _name):
        print("migrationd is gone", file=sys.stderr)
        self.loop.quit()


def list_domains(manager):
    for domain in manager.ListDomains({}):
        domain = get_native(domain)
        print(f"{domain['Name']}: {domain['State']}, {domain['MemoryBytes'] // MIB} MiB, profile {domain['Profile']}")


def migrate(bus: MessageBus, manager, domain: str, destination: str) -> bool:
    # Listen first, then call. An identity of our own choice says where to listen.
    identity = str(uuid.uuid4())
    follower = Follower(bus, f"{ROOT}/migration/{identity.replace('-', '_')}")
    manager.Migrate(domain, destination, {"id": get_variant(Str, identity)})
    print(f"migrating {domain} to {destination}", flush=True)
    follower.loop.run()
    return follower.result == "succeeded"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--address", help="of another bus than the system's")
    parser.add_argument("domain", nargs="?")
    parser.add_argument("destination", nargs="?")
    arguments = parser.parse_args()
    if arguments.domain and not arguments.destination:
        parser.error("where to?")
    bus = AddressedMessageBus(arguments.address) if arguments.address else SystemMessageBus()
    manager = bus.get_proxy(NAME, ROOT, interface_name="org.migrationd1.Manager")
    try:
        if not arguments.domain:
            list_domains(manager)
            return 0
        return 0 if migrate(bus, manager, arguments.domain, arguments.destination) else 1
    except DBusError as e:
        print(f"follow: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
