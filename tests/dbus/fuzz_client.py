# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client without manners: walks the introspection of the daemon and calls everything with arguments that fit, nearly
fit or do not fit. fuzz_client.py ADDRESS SEED CALLS. Prints how many calls ended in which way; ends with 1 when one was
not answered."""

import collections
import random
import sys
import xml.etree.ElementTree as ElementTree

from gi.repository import Gio, GLib

NAME = "org.migrationd1"
WORDS = ["", "easy", "endless", "unix:/there", "tcp:[::1]:1", "exec:x", "qemu+tls://h/system?command=x", "default",
         "gentle", "enforce", "observe", "migrate", "steer:migrate", "300ms", "-1", "99999999999999999999", "0%",
         "100%", "none", "auto", "page-sampling", "\x1b[2J", "\u202e", "%s%n%n", "../" * 40, "x" * 70000, "\n\n",
         "00000000-0000-0000-0000-000000000000", "org.migrationd1.Manager", "Mode", "LogLevel", "debug", "/",
         "[Match]\nName=*"]
KEYS = ["id", "profile", "domain", "active", "postcopy", "migrate-uri", "seconds", "mode", "persistent", "MaxDowntime",
        "Deadline", "Allow", "OnDeadline", "MaxThrottle", "MaxBandwidth", "WriteProtect", "Priority", "mechanism", "",
        "x\x01"]
NUMBERS = [0, 1, 2, 7, 60, 127, 255]
BASIC = {"y": GLib.Variant.new_byte, "b": lambda n: GLib.Variant.new_boolean(n % 2 == 1), "n": GLib.Variant.new_int16,
         "q": GLib.Variant.new_uint16, "i": GLib.Variant.new_int32, "u": GLib.Variant.new_uint32,
         "x": GLib.Variant.new_int64, "t": GLib.Variant.new_uint64, "d": GLib.Variant.new_double}


class Fuzzer:
    def __init__(self, address: str, seed: int):
        self.random = random.Random(seed)
        self.bus = Gio.DBusConnection.new_for_address_sync(
            address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
            None, None)
        self.ends: collections.Counter = collections.Counter()

    def word(self) -> str:
        return self.random.choice(WORDS)

    def any_value(self, depth: int) -> GLib.Variant:
        kind = self.random.choice([*BASIC, "s", "s", "s", "as", "a{sv}", "(sv)"] if depth < 6 else ["s", "t"])
        return self.value(kind, depth + 1)

    def value(self, signature: str, depth: int = 0) -> GLib.Variant:
        if signature in BASIC:
            return BASIC[signature](self.random.choice(NUMBERS))
        if signature == "o":
            return GLib.Variant("o", self.random.choice(["/", "/org/migrationd1", "/org/migrationd1/domain/x"]))
        if signature == "as":
            return GLib.Variant("as", [self.word() for _ in range(self.random.randrange(5))])
        if signature == "a{sv}":
            keys = self.random.sample(KEYS, self.random.choice([0, 0, 1, 1, 2, 6]))
            return GLib.Variant("a{sv}", {key: self.any_value(depth + 1) for key in keys})
        if signature == "(sv)":
            return GLib.Variant.new_tuple(GLib.Variant("s", self.word()),
                                          GLib.Variant.new_variant(self.any_value(depth)))
        if signature == "v":
            return GLib.Variant.new_variant(self.any_value(depth + 1))
        return GLib.Variant("s", self.word())

    def arguments(self, signatures: list[str]) -> GLib.Variant:
        """Now and then one too many, one too few, or of another type."""
        values = [self.value(s) for s in signatures]
        if self.random.random() < 0.1:
            values.insert(self.random.randrange(len(values) + 1), self.any_value(0))
        elif values and self.random.random() < 0.1:
            values.pop()
        return GLib.Variant.new_tuple(*values)

    def call(self, path: str, interface: str, method: str, arguments: GLib.Variant) -> GLib.Variant | None:
        flags = self.random.choice([Gio.DBusCallFlags.NONE, Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION])
        try:
            answer, _ = self.bus.call_with_unix_fd_list_sync(NAME, path, interface, method, arguments, None, flags,
                                                             20000, None, None)
            self.ends["ok"] += 1
            return answer
        except GLib.Error as e:
            self.ends[Gio.DBusError.get_remote_error(e) or e.message] += 1
        return None

    def objects(self) -> list[str]:
        answer = self.call("/org/migrationd1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
                           GLib.Variant("()", ()))
        managed = list(answer.unpack()[0]) if answer is not None else []
        return ["/org/migrationd1", "/org/freedesktop/LogControl1", "/", "/org/migrationd1/domain/gone", *managed]

    def methods(self, path: str) -> list[tuple[str, str, list[str]]]:
        answer = self.call(path, "org.freedesktop.DBus.Introspectable", "Introspect", GLib.Variant("()", ()))
        if answer is None:
            return []
        return [(i.get("name"), m.get("name"), [a.get("type") for a in m.findall("arg") if a.get("direction") == "in"])
                for i in ElementTree.fromstring(answer.unpack()[0]).findall("interface") for m in i.findall("method")]

    def run(self, calls: int):
        known: list = []
        for number in range(calls):
            if number % 200 == 0:  # migrations come and go
                known = [(path, *method) for path in self.objects() for method in self.methods(path)]
            path, interface, method, signatures = self.random.choice(known)
            self.call(path, interface, method, self.arguments(signatures))


def main(address: str, seed: str, calls: str) -> int:
    fuzzer = Fuzzer(address, int(seed))
    fuzzer.run(int(calls))
    for end, number in fuzzer.ends.most_common():
        print(number, end)
    return 1 if any("Timeout" in end or "NoReply" in end or "ServiceUnknown" in end for end in fuzzer.ends) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
