#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fences agree: the bus policy lets through just the methods that the daemon's table has, and polkit knows each
action.

The table of daemon/authz.c has a row for each method of the interface description; conf/org.migrationd1.conf lets
everyone call these and nothing else of our interfaces; conf/org.migrationd1.policy defines each action of the table,
and grants without a password none but "inspect".
"""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import common
from common import Case, Violation

TABLE, POLICY, INTERFACE = "daemon/authz.c", "conf/org.migrationd1.conf", "src/dbus/org.migrationd1.xml"
POLKIT = "conf/org.migrationd1.policy"
OURS = "org.migrationd1."
# The rows of properties that can be set are no methods.
ROW = re.compile(r'\{MIGD_IFACE_(MANAGER|DOMAIN|MIGRATION), "(\w+)", MIGD_ACTION_ID_(\w+)\}')

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


def check_polkit(root: Path, wanted: set[str]) -> list[Violation]:
    found = list(ET.parse(root / POLKIT).getroot().iter("action"))
    actions = {action.get("id"): action.find("defaults") for action in found}
    violations = [Violation(POLKIT, 1, f"no action {name}") for name in sorted(wanted - set(actions))]
    violations += [Violation(POLKIT, 1, f"{name} is the action of no method") for name in sorted(set(actions) - wanted)]
    # polkit answers nobody else's questions about an action.
    violations += [Violation(POLKIT, 1, f"{action.get('id')} is not owned by unix-user:migrationd") for action in found
                   if action.findtext("annotate[@key='org.freedesktop.policykit.owner']") != "unix-user:migrationd"]
    for name, defaults in actions.items():
        words = ["none given"] if defaults is None else [rule.text or "" for rule in defaults]
        if name != OURS + "inspect" and any(not word.startswith(("auth_admin", "no")) or "_self" in word
                                            for word in words):
            violations.append(Violation(POLKIT, 1, f"{name} is given away: {', '.join(words)}"))
    return violations


def check(root: Path) -> list[Violation]:
    rows = table_rows(root)
    allowed, wide = policy_rows(root)
    methods = {(interface.get("name"), method.get("name"))
               for interface in ET.parse(root / INTERFACE).getroot().findall("interface")
               for method in interface.findall("method")}
    print(f"{len(methods)} methods, {len(rows)} in the table, {len(allowed)} on the bus")

    violations = [Violation(POLICY, 1, f"too wide: {what}") for what in wide]
    violations += [Violation(TABLE, 1, f"no row for {'.'.join(method)}") for method in sorted(methods - set(rows))]
    violations += [Violation(TABLE, rows[method][0], f"{'.'.join(method)} is no method of {INTERFACE}")
                   for method in sorted(set(rows) - methods)]
    violations += [Violation(POLICY, 1, f"{'.'.join(method)} is in {TABLE}, but not here")
                   for method in sorted(set(rows) - allowed)]
    violations += [Violation(POLICY, 1, f"{'.'.join(method)} is not in {TABLE}, but here")
                   for method in sorted(allowed - set(rows))]
    return violations + check_polkit(root, {OURS + action.lower() for _, action in rows.values()})


def tree(rows: str, rules: str, *methods: str, actions: str | None = None) -> dict[str, str]:
    members = "".join(f'<method name="{name}"/>' for name in methods)
    return {TABLE: rows, POLICY: f'<busconfig><policy context="default">{rules}</policy></busconfig>',
            INTERFACE: f'<node><interface name="org.migrationd1.Manager">{members}</interface></node>',
            POLKIT: f"<policyconfig>{INSPECT + CONFIGURE if actions is None else actions}</policyconfig>"}


def rule(name: str = "") -> str:
    member = f'send_member="{name}"' if name else ""
    return f'<allow send_destination="org.migrationd1" send_interface="org.migrationd1.Manager" {member}/>'


def action(name: str, default: str, owner: str = "migrationd") -> str:
    return (f'<action id="{OURS}{name}"><defaults><allow_any>{default}</allow_any></defaults>'
            f'<annotate key="org.freedesktop.policykit.owner">unix-user:{owner}</annotate></action>')


LIST = '{MIGD_IFACE_MANAGER, "ListDomains", MIGD_ACTION_ID_INSPECT},\n'
RELOAD = '{MIGD_IFACE_MANAGER, "Reload", MIGD_ACTION_ID_CONFIGURE},\n'
BOTH = rule("ListDomains") + rule("Reload")
INSPECT, CONFIGURE = action("inspect", "yes"), action("configure", "auth_admin")

CASES = [
    Case("agree", tree(LIST + RELOAD, BOTH, "ListDomains", "Reload"), []),
    Case("a method that the bus lets through and the table does not have",
         tree(LIST, BOTH, "ListDomains", actions=INSPECT), [f"{POLICY}:1: Manager.Reload is not in"]),
    Case("a method that the bus forbids", tree(LIST, "", "ListDomains", actions=INSPECT),
         [f"{POLICY}:1: Manager.ListDomains is in"]),
    Case("a method without a row", tree(LIST, rule("ListDomains"), "ListDomains", "New", actions=INSPECT),
         [f"{TABLE}:1: no row for"]),
    Case("a row without a method", tree(LIST + RELOAD, BOTH, "ListDomains"), [f"{TABLE}:2: is no method"]),
    Case("rules that are too wide", tree(LIST, rule("ListDomains") + '<allow send_interface="org.migrationd1.Manager"/>'
         + rule() + rule().replace("org.migrationd1.Manager", "org.freedesktop.DBus.Properties"), "ListDomains",
         actions=INSPECT),
         [f"{POLICY}:1: without send_destination", f"{POLICY}:1: all methods", f"{POLICY}:1: Properties.None"]),
    Case("an action that polkit does not know", tree(LIST + RELOAD, BOTH, "ListDomains", "Reload", actions=INSPECT),
         [f"{POLKIT}:1: no action org.migrationd1.configure"]),
    Case("an action of nothing", tree(LIST, rule("ListDomains"), "ListDomains"),
         [f"{POLKIT}:1: configure is the action of no method"]),
    Case("an action of somebody else", tree(LIST, rule("ListDomains"), "ListDomains",
                                            actions=action("inspect", "yes", "root")),
         [f"{POLKIT}:1: inspect is not owned by"]),
    Case("an action that is given away", tree(LIST + RELOAD, BOTH, "ListDomains", "Reload",
                                              actions=INSPECT + action("configure", "auth_self_keep")),
         [f"{POLKIT}:1: configure is given away: auth_self_keep"]),
]

if __name__ == "__main__":
    common.main(check, CASES)
