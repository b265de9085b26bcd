# SPDX-License-Identifier: LGPL-2.1-or-later
"""Four migrations at once, in both directions: each is seen from both ends, and a cancel does not wait for the rest."""

import time

from gi.repository import Gio, GLib

from harness.bus import NAME, Bus
from harness.case import Skip, check, run, same
from harness.site import Site

GUEST = "ws=8 rate=2 touch=24"
SPEED_MIB = 4  # eight seconds for one copy
CANCEL_MS = 200


def call_cancel(bus: Bus, migration: str) -> float:
    """Milliseconds until the answer."""
    path = f"/org/migrationd1/migration/{migration.replace('-', '_')}"
    begin = time.monotonic()
    bus.connection().call_sync(NAME, path, "org.migrationd1.Migration", "Cancel", GLib.Variant("(a{sv})", ({},)), None,
                               Gio.DBusCallFlags.NONE, 10000, None)
    return (time.monotonic() - begin) * 1000


def directions(bus: Bus) -> dict[str, str]:
    """Of each domain's migration."""
    return {m["DomainName"]: m["Direction"] for m in bus.json("status")}


def four_at_once_in_both_directions():
    with Site() as site:
        for host in (site.a, site.b):
            site.buses[host].text("hooks", "install")
            host.stop_libvirtd()  # which looks for hooks only when it starts
            host.start_libvirtd()
            site.start_daemon(host)
        domains = [site.start(f"vm{number}", GUEST, (site.a, site.b)[number % 2], speed_mib=SPEED_MIB)
                   for number in range(4)]
        for domain in domains:
            site.buses[domain.host].wait_domain(domain.name)
        processes = {domain: domain.migrate() for domain in domains}
        ids = {domain: site.buses[domain.host].wait_migration(domain.name, 30) for domain in domains}
        for host, bus in site.buses.items():
            wanted = {d.name: "outgoing" if d.host is host else "incoming" for d in domains}
            end = time.monotonic() + 15
            while (seen := directions(bus)) != wanted and time.monotonic() < end:
                time.sleep(0.1)
            same(seen, wanted, f"migrations seen on {host.name}")

        canceled = domains[0]
        for domain, process in processes.items():
            check(process.poll() is None, f"the migration of {domain.name} has ended too early")
        took_ms = call_cancel(site.buses[canceled.host], ids[canceled])
        print(f"# Cancel answered after {took_ms:.0f} ms")
        check(took_ms < CANCEL_MS, f"Cancel answered after {took_ms:.0f} ms")
        processes[canceled].communicate(timeout=30)
        same(site.buses[canceled.host].wait_finished(ids[canceled], 15)["Result"], "canceled", "result")
        canceled.runs_on()

        unchecked = ""
        for domain in domains[1:]:
            output, _ = processes[domain].communicate(timeout=90)
            same(processes[domain].returncode, 0, f"exit status of virsh for {domain.name} ({output.strip()})")
            same(site.buses[domain.host].wait_finished(ids[domain], 15)["Result"], "succeeded", "result")
            domain.arrive()
            verdict = domain.verify()
            check(not verdict.wrong, f"{domain.name}: {verdict} wrong pages, {verdict.reason}")
            unchecked = unchecked or (verdict.reason if verdict.wrong is None else "")
        for bus in site.buses.values():
            results = {m["DomainName"]: m["Result"] for m in bus.json("status") if m["Direction"] == "incoming"}
            for name, result in results.items():
                wanted = ("failed", "canceled") if name == canceled.name else ("succeeded",)
                check(result in wanted, f"incoming {name}: result {result!r}, wanted {wanted}")
        if unchecked:
            raise Skip(f"/dev/kvm does not open: {unchecked}")


run(four_at_once_in_both_directions)
