# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parallel connections come from measured need: only where one connection was seen to carry less than this guest takes,
and never where that would cost post-copy. The way to the other host is a relay that slows each connection down."""

from gi.repository import Gio, GLib

from harness.bus import NAME, Bus
from harness.case import check, needs_kvm, run, same
from harness.domain import Domain
from harness.narrow import NarrowWay
from harness.site import Site, check_arrival, trace

WHY = "under TCG QEMU 7.2 forgets dirty pages, so that a fast guest does not last"
PORT = 49300
ONE_BPS = 12_000_000
SPEED_MIB = 200  # the limit is not what binds
BUSY = "ws=32 rate=45 touch=32"
IDLE = "ws=8 rate=2 touch=40"
# QEMU takes for sent, and so for speed, what waits in the relay.
PAUSE_MS = 1000
KNOBS = ("cap:multifd", "multifd-channels")


def call(bus: Bus, path: str, interface: str, method: str, signature: str, *values):
    return bus.connection().call_sync(NAME, path, f"org.migrationd1.{interface}", method,
                                      GLib.Variant(signature, values), None, Gio.DBusCallFlags.NONE, 30000,
                                      None).unpack()


def measure(bus: Bus, domain: Domain) -> int:
    """Bytes/s that it dirties."""
    exactly = {"mode": GLib.Variant("s", "dirty-bitmap")}
    path = bus.wait_domain(domain.name)["Object"]
    rate = call(bus, path, "Domain", "MeasureDirtyRate", "(a{sv})", exactly)[0]["DirtyRate"]
    print(f"# {domain.name}: {rate >> 20} MiB/s dirty")
    return rate


def connections(domain: Domain) -> int:
    """Of the migration that runs, as QEMU has it."""
    capabilities = domain.host.virsh.monitor(domain.name, "query-migrate-capabilities")
    if not next(c["state"] for c in capabilities if c["capability"] == "multifd"):
        return 1
    return domain.host.virsh.monitor(domain.name, "query-migrate-parameters")["multifd-channels"]


def arrives(site: Site, way: NarrowWay, domain: Domain, **options) -> tuple[int, float]:
    """Connections and seconds."""
    bus = site.bus
    domain.listen(site.b)
    values = {key: GLib.Variant("b" if isinstance(value, bool) else "u", value) for key, value in options.items()}
    values["migrate-uri"] = GLib.Variant("s", way.uri)
    call(bus, "/org/migrationd1", "Manager", "Migrate", "(ssa{sv})", domain.name, site.b.uri, values)
    migration = bus.wait_migration(domain.name)
    number = connections(domain)
    same(bus.wait_finished(migration, 90)["Result"], "succeeded", f"result of {domain.name}")
    seconds = trace(bus, migration, "finish")[0]["total_us"] / 1e6
    print(f"# {domain.name}: {number} connections, {seconds:.1f} s")
    check_arrival(domain, PAUSE_MS)
    return number, seconds


def as_many_as_were_measured_to_be_needed():
    needs_kvm(WHY)
    with Site() as site, NarrowWay(site.a, site.b, PORT, ONE_BPS) as way:
        bus = site.start_daemon()
        guests = {name: site.start(name, guest, speed_mib=SPEED_MIB)
                  for name, guest in (("first", IDLE), ("busy", BUSY), ("idle", IDLE), ("post-copy", BUSY))}
        rates = {name: measure(bus, guest) for name, guest in guests.items()}
        # Nobody knows yet what one connection carries.
        same(arrives(site, way, guests["first"])[0], 1, "connections of the first")
        guests["first"].close()
        check("connections: one carried" not in bus.log_text(), "several without a measurement")
        number, seconds = arrives(site, way, guests["busy"])
        wanted = 2 * rates["busy"] / ONE_BPS
        check(wanted > 2 and wanted / 1.3 <= number <= min(wanted * 1.3 + 1, 8),
              f"{number} connections for a guest that needs {wanted:.1f}")
        # All of its memory over one connection, without what it writes meanwhile.
        alone = guests["busy"].touched / ONE_BPS
        check(seconds < alone, f"{seconds:.1f} s, over one connection at least {alone:.1f} s")
        check("connections: one carried" in bus.log_text(), "the log does not say why")
        guests["busy"].close()
        same(arrives(site, way, guests["idle"])[0], 1, "connections of a guest that writes little")
        same(arrives(site, way, guests["post-copy"], postcopy=True)[0], 1, "connections where post-copy is allowed")


def as_many_as_were_asked_for():
    needs_kvm(WHY)
    with Site() as site, NarrowWay(site.a, site.b, PORT, ONE_BPS) as way:
        reference = site.knobs(speed_mib=SPEED_MIB)
        bus = site.start_daemon()
        domain = site.start("vm", IDLE, speed_mib=SPEED_MIB)
        bus.wait_domain("vm")
        for options, word in (({"parallel-connections": 17}, "at most 16"),
                              ({"parallel-connections": 2, "postcopy": True}, "needs QEMU 10.1")):
            try:
                arrives(site, way, domain, **options)
                raise AssertionError(f"{options} were accepted")
            except GLib.Error as e:
                check(word in e.message, e.message)
        same(domain.state(), "running", "state after what was refused")
        same(arrives(site, way, domain, **{"parallel-connections": 2})[0], 2, "connections")
        here = domain.knobs()
        same([here[k] for k in KNOBS], [reference[k] for k in KNOBS], "knobs at the destination")


run(as_many_as_were_measured_to_be_needed, as_many_as_were_asked_for)
