#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Includes follow the layers: each folder may use only what its row allows, by names that show the layer."""

import re
from pathlib import Path

import common
from common import Case, Violation

BASIC = ["glib.h", "math.h", "string.h", "float.h", "stddef.h"]

# Layer -> our own layers that it may include besides itself.
LAYERS = {
    "base": [],
    "policy": ["base"],
    "sim": ["base", "policy"],
    "json": ["base"],
    "qmp": ["base", "policy", "json"],
    "trace": ["base", "policy", "json"],
    "virt": ["base", "policy"],
    "writeprotect": ["base", "policy"],
    "dbus": ["base"],
    "cli": ["base", "policy", "sim", "peers", "json", "trace", "dbus"],
}
LAYERS["daemon"] = list(LAYERS)
LAYERS["peers"] = ["policy", "sim"]  # tests/bench/peers; not for the daemon

# Layers that may include these system headers and no others.
ONLY_SYSTEM = {"policy": BASIC, "sim": BASIC, "base": BASIC, "peers": BASIC}

# System headers that only the named layers may include.
RESERVED = [
    (re.compile(r"json-c/|json\.h$|json_"), ["json"]),
    (re.compile(r"libvirt"), ["virt", "daemon"]),
    (re.compile(r"gio/|glib-unix\.h$|glib-object\.h$"), ["qmp", "trace", "dbus", "virt", "cli", "daemon"]),
    (re.compile(r"systemd/"), ["daemon"]),
    (re.compile(r"linux/kvm\.h$"), ["writeprotect"]),
]

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def layer_of(relative: str) -> str | None:
    """The layer that a file belongs to; None for tests, which may include all layers."""
    if relative.startswith("tests/bench/peers/"):
        return "peers"
    parts = relative.split("/")
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    return "daemon" if parts[0] == "daemon" else None


def check_own(name: str, layer: str | None) -> str | None:
    if name.startswith(".") or "/../" in name:
        return f'"{name}": includes name the layer, not a relative path'
    target, slash, _ = name.partition("/")
    if layer is None:
        return None
    if not slash or target not in LAYERS:
        return f'"{name}": includes name the layer, like "policy/track.h"'
    if target != layer and target not in LAYERS[layer]:
        return f'"{name}": layer {layer} may not use layer {target}'
    return None


def check_system(name: str, layer: str | None) -> str | None:
    if layer is None:
        return None
    if layer in ONLY_SYSTEM and name not in ONLY_SYSTEM[layer]:
        return f"<{name}>: layer {layer} may include only {', '.join(ONLY_SYSTEM[layer])}"
    for pattern, layers in RESERVED:
        if pattern.match(name) and layer not in layers:
            return f"<{name}>: only for layers {', '.join(layers)}, not {layer}"
    return None


def check_file(path: Path, relative: str) -> tuple[int, list[Violation]]:
    layer = layer_of(relative)
    if layer is not None and layer not in LAYERS:
        return 0, [Violation(relative, 1, f"layer {layer} has no row in the matrix of tests/lint/includes.py")]
    count, violations = 0, []
    for number, line in enumerate(common.read(path).splitlines(), 1):
        if not line.lstrip().startswith("#") or not re.match(r"\s*#\s*include", line):
            continue
        count += 1
        match = INCLUDE.match(line)
        if match is None:
            violations.append(Violation(relative, number, "include by macro: not checkable"))
            continue
        problem = (check_own if match[1] == '"' else check_system)(match[2], layer)
        if problem is not None:
            violations.append(Violation(relative, number, problem))
    return count, violations


def check(root: Path) -> list[Violation]:
    files = includes = 0
    violations = []
    for path in common.walk(root, ".c", ".h", under=("src/", "daemon/", "tests/")):
        count, found = check_file(path, common.rel(path, root))
        files, includes = files + 1, includes + count
        violations += found
    print(f"{files} files, {includes} includes")
    return violations


CASES = [
    Case("own layer and those below", {
        "src/policy/a.c": '#include "policy/a.h"\n#include "base/error.h"\n#include <math.h>\n',
        "src/json/a.c": '#include "base/error.h"\n#include <json-c/json.h>\n',
        "daemon/a.c": '#include "daemon/b.h"\n#include "qmp/a.h"\n#include <systemd/sd-daemon.h>\n',
        "tests/unit/t.c": '#include "sim/a.h"\n#include <gio/gio.h>\n'}, []),
    Case("a layer above", {"src/policy/a.c": "\n" + '#include "qmp/client.h"\n'},
         ["src/policy/a.c:2: layer policy may not use layer qmp"]),
    Case("cli keeps off the daemon and QMP", {"src/cli/a.h": '#include "daemon/b.h"\n# include "qmp/c.h"\n'},
         ["src/cli/a.h:1: may not use layer daemon", "src/cli/a.h:2: may not use layer qmp"]),
    Case("relative and bare names", {
        "src/qmp/a.c": '#include "../policy/track.h"\n#include "client.h"\n',
        "tests/unit/t.c": '#include "../harness/a.h"\n'},
         ["src/qmp/a.c:1: not a relative path", "src/qmp/a.c:2: includes name the layer",
          "tests/unit/t.c:1: not a relative path"]),
    Case("clock, I/O and GIO in the policy", {"src/policy/a.c": "#include <time.h>\n#include <gio/gio.h>\n",
                                             "src/sim/b.c": "#include <stdio.h>\n"},
         ["src/policy/a.c:1: <time.h>", "src/policy/a.c:2: <gio/gio.h>", "src/sim/b.c:1: <stdio.h>"]),
    Case("peers are pure, for simulation and benches, and not for the daemon", {
        "tests/bench/peers/a.c": '#include "peers/peer.h"\n#include "sim/engine.h"\n#include <time.h>\n',
        "src/cli/a.c": '#include "peers/peers.h"\n', "daemon/a.c": '#include "peers/peers.h"\n'},
         ["daemon/a.c:1: may not use layer peers", "tests/bench/peers/a.c:3: <time.h>"]),
    Case("reserved libraries", {
        "src/qmp/a.c": "#include <json-c/json.h>\n#include <gio/gio.h>\n",
        "src/cli/a.c": "#include <libvirt/libvirt.h>\n#include <systemd/sd-journal.h>\n",
        "src/json/a.c": "#include <gio/gio.h>\n"},
         ["src/qmp/a.c:1: only for layers json", "src/cli/a.c:1: only for layers virt",
          "src/cli/a.c:2: only for layers daemon", "src/json/a.c:1: only for layers qmp"]),
    Case("a layer without a row", {"src/extra/a.c": "int a;\n"}, ["src/extra/a.c:1: no row in the matrix"]),
    Case("include by macro", {"src/base/a.c": "#include NAME\n"}, ["src/base/a.c:1: include by macro"]),
]

if __name__ == "__main__":
    common.main(check, CASES)
