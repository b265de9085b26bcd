# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's hook: shows what comes in, and costs libvirt nothing, whatever state migrationd is in."""

import signal
import statistics
import subprocess
import time

from harness.bus import CtlError
from harness.case import check, run, same
from harness.hosts import Host
from harness.site import CONVERGING, Site

HOOK = "/etc/libvirt/hooks/qemu.d/50-migrationd"
HOOK_MS = 50
CALLS = 11


def hook_file(host: Host) -> str:
    """Where the host keeps its hook, as seen from outside."""
    return f"{host.directory}/etc/hooks/qemu.d/50-migrationd"


def call_hook(host: Host, xml: str) -> float:
    """As libvirtd calls it before an incoming migration; milliseconds."""
    begin = time.monotonic()
    done = subprocess.run([*host.within, HOOK, "vm", "migrate", "begin", "-"], input=xml, text=True,
                          capture_output=True, timeout=30, check=False)
    took_ms = (time.monotonic() - begin) * 1000
    same((done.returncode, done.stdout, done.stderr), (0, "", ""), "exit status and output of the hook")
    return took_ms


def hook_costs_nothing():
    with Site() as site:
        bus = site.start_daemon()
        domain = site.start("vm", CONVERGING)
        xml = site.a.virsh("dumpxml", "vm", "--migratable")
        bus.text("hooks", "install")

        def measure(state: str):
            times = [call_hook(site.a, xml) for _ in range(CALLS)]
            print(f"# {state}: {statistics.median(times):.1f} ms, at most {max(times):.1f} ms")
            check(statistics.median(times) < HOOK_MS, f"the hook takes too long with {state}")

        measure("the daemon running")
        bus.daemon.send_signal(signal.SIGSTOP)
        measure("the daemon stopped")
        bus.daemon.send_signal(signal.SIGCONT)
        bus.kill_daemon()
        measure("the daemon dead")
        domain.runs_on()


def incoming_migration_is_shown():
    with Site() as site:
        bus = site.buses[site.b]
        check("not installed" in bus.text("hooks", "status").lower(), "installed before it was")
        bus.text("hooks", "install")
        check(subprocess.run(["test", "-x", hook_file(site.b)], check=False).returncode == 0, "no hook there")
        check("not installed" not in bus.text("hooks", "status").lower(), "not installed afterwards")
        site.b.stop_libvirtd()  # which looks for hooks only when it starts
        site.b.start_libvirtd()
        site.start_daemon(site.b)
        domain = site.start("vm", CONVERGING, speed_mib=20)
        process = domain.migrate()
        migration = bus.wait_migration("vm", 30)
        status = bus.status(migration)
        same((status["Direction"], status["Origin"]), ("incoming", "external"), "direction, origin")
        try:
            bus.text("explain", migration)
            raise AssertionError("explained what is decided elsewhere")
        except CtlError as e:
            check("its source keeps it" in str(e), str(e))
        output, _ = process.communicate(timeout=90)
        same(process.returncode, 0, f"exit status of virsh ({output.strip()})")
        same(bus.wait_finished(migration, 15)["Result"], "succeeded", "result at the destination")
        domain.arrive()
        verdict = domain.verify()
        check(not verdict.wrong, f"{verdict} wrong pages: {verdict.reason}")
        check("hook" not in site.b.virsh("dominfo", "vm"), "the hook taints")

        bus.text("hooks", "remove")
        check("not installed" in bus.text("hooks", "status").lower(), "still installed")
        check(subprocess.run(["test", "-e", hook_file(site.b)], check=False).returncode == 1, "the hook is still there")


run(hook_costs_nothing, incoming_migration_is_shown)
