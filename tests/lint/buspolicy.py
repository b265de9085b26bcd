#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two fences agree: the bus policy lets everyone call just the methods that the daemon's table does.

The table of daemon/authz.c has a row for each method of the interface description; conf/org.migrationd1.conf allows
everyone the rows of action "inspect" and nothing else of our interfaces.
"""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import common
from common import Case, Violation

TABLE, POLICY, INTERFACE = "daemon/authz.c", "conf/org.migrationd1.conf", "src/dbus/org.migrationd1.xml"
OURS = "org.migrationd1."
ROW = re.compile(r'\{MIGD_IFACE_(\w+), "(\w+)", MIGD_ACTION_ID_(\w+)\}')

Method = tuple[str, str]  # interface, member


def table_rows(root: Path) -> dict[Method, tuple[int, str]]:
    """Method -> (line, action)."""
    rows = {}
    for number, line in enumerate(common.read(root / TABLE).splitlines(), 1):
        for interface, member, action in ROW.findall(line):
            rows[(OURS + interface.capitalize(), member)] = (number, action)
    return rows


def policy_rows(root: Path) -> tuple[set[Method], list[str]]:
    """What everyone may call of our interfaces, and rules that are too wide."""
    allowed, wide = set(), []
    for policy in ET.parse(root / POLICY).getroot().findall("policy[@context='default']"):
        for rule in policy.findall("allow"):
            interface, member = rule.get("send_interface"), rule.get("send_member")
            if rule.get("send_destination") != "org.migrationd1" or interface is None:
                wide.append("an allow without send_destination or send_interface")
            elif interface.startswith(OURS) and member is None:
                wide.append(f"all methods of {interface}")
            elif interface == "org.freedesktop.DBus.Properties" and member not in ("Get", "GetAll"):
                wide.append(f"{interface}.{member}: properties are read-only for everyone")
            elif interface.startswith(OURS):
                allowed.add((interface, member))
    return allowed, wide


def check(root: Path) -> list[Violation]:
    rows = table_rows(root)
    allowed, wide = policy_rows(root)
    methods = {(interface.get("name"), method.get("name"))
               for interface in ET.parse(root / INTERFACE).getroot().findall("interface")
               for method in interface.findall("method")}
    open_rows = {method for method, (_, action) in rows.items() if action == "INSPECT"}
    print(f"{len(methods)} methods, {len(rows)} in the table, {len(open_rows)} for everyone, {len(allowed)} on the bus")

    violations = [Violation(POLICY, 1, f"too wide: {what}") for what in wide]
    violations += [Violation(TABLE, 1, f"no row for {'.'.join(method)}") for method in sorted(methods - set(rows))]
    violations += [Violation(TABLE, rows[method][0], f"{'.'.join(method)} is no method of {INTERFACE}")
                   for method in sorted(set(rows) - methods)]
    violations += [Violation(POLICY, 1, f"{'.'.join(method)} is for everyone in {TABLE}, but not here")
                   for method in sorted(open_rows - allowed)]
    violations += [Violation(POLICY, 1, f"{'.'.join(method)} is not for everyone in {TABLE}, but here")
                   for method in sorted(allowed - open_rows)]
    return violations


def tree(rows: str, rules: str, *methods: str) -> dict[str, str]:
    members = "".join(f'<method name="{name}"/>' for name in methods)
    return {TABLE: rows, POLICY: f'<busconfig><policy context="default">{rules}</policy></busconfig>',
            INTERFACE: f'<node><interface name="org.migrationd1.Manager">{members}</interface></node>'}


def rule(name: str = "") -> str:
    member = f'send_member="{name}"' if name else ""
    return f'<allow send_destination="org.migrationd1" send_interface="org.migrationd1.Manager" {member}/>'


LIST = '{MIGD_IFACE_MANAGER, "ListDomains", MIGD_ACTION_ID_INSPECT},\n'
RELOAD = '{MIGD_IFACE_MANAGER, "Reload", MIGD_ACTION_ID_CONFIGURE},\n'
BOTH = rule("ListDomains") + rule("Reload")

CASES = [
    Case("agree", tree(LIST + RELOAD, rule("ListDomains"), "ListDomains", "Reload"), []),
    Case("a change open to everyone", tree(LIST + RELOAD, BOTH, "ListDomains", "Reload"),
         [f"{POLICY}:1: Manager.Reload is not for everyone"]),
    Case("a look that the bus forbids", tree(LIST, "", "ListDomains"), [f"{POLICY}:1: Manager.ListDomains is for"]),
    Case("a method without a row", tree(LIST, rule("ListDomains"), "ListDomains", "New"), [f"{TABLE}:1: no row for"]),
    Case("a row without a method", tree(LIST + RELOAD, rule("ListDomains"), "ListDomains"),
         [f"{TABLE}:2: is no method"]),
    Case("rules that are too wide", tree(LIST, rule("ListDomains") + '<allow send_interface="org.migrationd1.Manager"/>'
         + rule() + rule().replace("org.migrationd1.Manager", "org.freedesktop.DBus.Properties"), "ListDomains"),
         [f"{POLICY}:1: without send_destination", f"{POLICY}:1: all methods", f"{POLICY}:1: Properties.None"]),
]

if __name__ == "__main__":
    common.main(check, CASES)
