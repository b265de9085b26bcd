# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real clients: busctl, gdbus, and the Python example of the documentation."""

import json
import re
import subprocess

from harness import paths
from harness.bus import Bus
from harness.case import check, needs_kvm, run, same
from harness.site import CONVERGING, PLATEAU, Site, check_arrival

WHY = "under TCG QEMU 7.2 forgets dirty pages, so that a plateau does not last"
MANAGER = ("org.migrationd1", "/org/migrationd1", "org.migrationd1.Manager")


def output(*command: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    same(done.returncode, 0, f"exit status of {command[0]} ({done.stderr.strip()} {done.stdout.strip()})")
    return done.stdout


def follow(bus: Bus, *arguments: str) -> str:
    return output("/usr/bin/python3", "-B", str(paths.SOURCE / "docs/examples/follow.py"), "--address", bus.address,
                  *arguments)


def tools_read_what_is_there():
    with Site() as site:
        bus = site.start_daemon()
        domain = site.start("vm", CONVERGING)
        bus.wait_domain("vm")
        answer = json.loads(output("busctl", "--address", bus.address, "--json=short", "call", *MANAGER, "ListDomains",
                                   "a{sv}", "0"))
        same([(d["Name"]["data"], d["Uuid"]["data"]) for d in answer["data"][0]], [("vm", domain.uuid)],
             "domains by busctl")
        tree = output("busctl", "--address", bus.address, "tree", MANAGER[0])
        check(domain.uuid.replace("-", "_") in tree, f"the domain is not in busctl's tree: {tree}")
        text = output("gdbus", "call", "--address", bus.address, "--dest", MANAGER[0], "--object-path", MANAGER[1],
                      "--method", f"{MANAGER[2]}.GetDomain", "vm")
        path = f"/org/migrationd1/domain/{domain.uuid.replace('-', '_')}"
        same(text.strip(), f"(objectpath '{path}',)", "the domain by gdbus")
        same(follow(bus).split(":")[0], "vm", "the domain by follow.py")


def python_client_follows_to_the_report():
    needs_kvm(WHY)
    with Site() as site:
        bus = site.start_daemon()
        domain = site.start("vm", PLATEAU)
        bus.wait_domain("vm")
        domain.listen(site.b)
        text = follow(bus, "vm", site.b.uri)
        print("".join(f"# {line}\n" for line in text.splitlines()), end="")
        check(re.search(r"^pass 1: ", text, re.MULTILINE), "no passes")
        check(re.search(r"^succeeded: [\d.]+ s, pause \d+ ms, \d+ MiB in \d+ passes$", text, re.MULTILINE), "no report")
        check_arrival(domain, bus.max_downtime_ms())


run(tools_read_what_is_there, python_client_follows_to_the_report)
