# SPDX-License-Identifier: LGPL-2.1-or-later
"""A polkit whose answers a test decides: a process of its own on the test's bus.

RULES is a JSON file, read anew for each question: action -> "yes", "no", "challenge", "hang", "error" or "garbage";
"ACTION DOMAIN" comes before ACTION.
Questions and cancellations go to LOG, a JSON object a line.
"""

import json
import sys
from pathlib import Path

from gi.repository import Gio, GLib

NAME = "org.freedesktop.PolicyKit1"
PATH = "/org/freedesktop/PolicyKit1/Authority"
INTERFACE = "org.freedesktop.PolicyKit1.Authority"
XML = f"""<node><interface name="{INTERFACE}">
  <method name="CheckAuthorization">
    <arg type="(sa{{sv}})" direction="in"/><arg type="s" direction="in"/><arg type="a{{ss}}" direction="in"/>
    <arg type="u" direction="in"/><arg type="s" direction="in"/><arg type="(bba{{ss}})" direction="out"/>
  </method>
  <method name="CancelCheckAuthorization"><arg type="s" direction="in"/></method>
  <signal name="Changed"/>
</interface></node>"""
ANSWERS = {"yes": (True, False), "no": (False, False), "challenge": (False, True)}
CANCELLED = f"{NAME}.Error.Cancelled"


def main(address: str, rules: str, log: str):
    connection = Gio.DBusConnection.new_for_address_sync(
        address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION,
        None, None)
    hanging = {}

    def note(**line):
        with open(log, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def check(invocation, subject, action, details, flags, cancel_id):
        note(subject=subject, action=action, details=details, flags=flags)
        table = json.loads(Path(rules).read_text(encoding="utf-8"))
        rule = table.get(f"{action} {details.get('domain')}", table[action])
        if rule == "hang":
            hanging[invocation.get_sender(), cancel_id] = invocation
        elif rule == "error":
            invocation.return_dbus_error(f"{NAME}.Error.Failed", "the rules are broken")
        elif rule == "garbage":
            connection.send_message(reply_of(invocation, GLib.Variant("(s)", ("yes",))),
                                    Gio.DBusSendMessageFlags.NONE)
        else:
            invocation.return_value(GLib.Variant("((bba{ss}))", ((*ANSWERS[rule], {}),)))

    def reply_of(invocation, body):
        message = Gio.DBusMessage.new_method_reply(invocation.get_message())
        message.set_body(body)
        return message

    def called(_connection, _sender, _path, _interface, method, parameters, invocation):
        if method == "CheckAuthorization":
            check(invocation, *parameters.unpack())
            return
        (cancel_id,) = parameters.unpack()
        note(canceled=cancel_id)
        if question := hanging.pop((invocation.get_sender(), cancel_id), None):
            question.return_dbus_error(CANCELLED, "cancelled")
        invocation.return_value(None)

    connection.register_object(PATH, Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0], called, None, None)
    Gio.bus_own_name_on_connection(connection, NAME, Gio.BusNameOwnerFlags.NONE, None, None)
    # A line on standard input: the rules have changed.
    GLib.io_add_watch(GLib.IOChannel.unix_new(0), GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN, lambda *_: (
        sys.stdin.readline(), connection.emit_signal(None, PATH, INTERFACE, "Changed", None), True)[2])
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
