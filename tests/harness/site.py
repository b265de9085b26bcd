# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two libvirt hosts with migrationd on them, and what tests ask of both."""

import re
import time
from contextlib import ExitStack
from pathlib import Path

from .bus import Bus
from .case import Skip, check, same
from .domain import Domain
from .hosts import Host, Hosts
from .stage import trace

# It never ends by itself at 40 MiB/s within 300 ms.
PLATEAU = "ws=64 rate=90"
CONVERGING = "ws=64 rate=15 touch=32"
CONFIG = """[Libvirt]
AllowMonitorCommands={}
"""
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class Site:
    """The hosts, a bus on each, and the domains that were started. Use it as a context manager."""

    def __init__(self):
        self.domains: list[Domain] = []
        self._stack = ExitStack()

    def __enter__(self):
        try:
            self.hosts = self._stack.enter_context(Hosts())
            self.buses = {host: self._bus(host) for host in (self.hosts.a, self.hosts.b)}
        except BaseException:
            self._stack.close()
            raise
        return self

    def _bus(self, host: Host) -> Bus:
        for name in ("dbus", "migrationd"):
            (host.directory / "run" / name).mkdir()
        return self._stack.enter_context(Bus(tuple(host.within), f"{host.directory}/run/dbus/system_bus_socket"))

    def __exit__(self, kind, *_):
        if kind and issubclass(kind, Exception):
            self._tell()
        self._stack.close()
        for domain in self.domains:
            for console in domain.consoles.values():
                console.close()

    def _tell(self):
        for host, bus in self.buses.items():
            if bus.daemon:
                print("".join(f"# migrationd on {host.name}: {line}\n" for line in bus.log_text().splitlines()[-40:]),
                      end="")
            print("".join(f"# libvirtd on {host.name}: {line}\n" for line in host.log_text().splitlines()[-10:]),
                  end="")

    @property
    def a(self) -> Host:
        return self.hosts.a

    @property
    def b(self) -> Host:
        return self.hosts.b

    @property
    def bus(self) -> Bus:
        """Of the first host."""
        return self.buses[self.a]

    def start_daemon(self, host: Host | None = None, *arguments: str, monitor: bool = True) -> Bus:
        """On `host`, else on the first."""
        host = host or self.a
        bus = self.buses[host]
        Path(bus.config).write_text(CONFIG.format("yes" if monitor else "no"))
        bus.start_daemon(f"--libvirt-uri={host.uri}", *arguments)
        return bus

    def start(self, name: str, append: str, host: Host | None = None, persistent: bool = False, **options) -> Domain:
        """A guest that runs, on the first host unless said otherwise."""
        domain = Domain(self.hosts, name, append, **options)
        self.domains.append(domain)
        domain.start(host or self.a, persistent)
        return domain

    def knobs(self, host: Host | None = None, speed_mib: int = 40) -> dict:
        """Those of a guest that nobody has touched: asking a guest itself would taint it."""
        domain = Domain(self.hosts, "untouched", "ws=1 rate=0", speed_mib)
        domain.start(host or self.a)
        try:
            return domain.knobs()
        finally:
            domain.close()


def figures(host: Host, domain: str) -> dict[str, int]:
    """libvirt's figures of the last migration of a domain: ms, bytes, passes. Where it arrived, or was aborted."""
    figure = {}
    for line in host.virsh("domjobinfo", "--completed", domain).splitlines():
        if match := re.fullmatch(r"([^:]+): +([\d.]+) *(\w*)\s*", line):
            figure[match[1]] = round(float(match[2]) * UNITS.get(match[3], 1))
    return figure


def check_arrival(domain: Domain, limit_ms: int):
    """Virsh is done: the guest runs where it was sent, paused briefly enough, no page wrong."""
    domain.arrive()
    same(domain.state(), "running", "state at the destination")
    figure = figures(domain.host, domain.name)
    # After post-copy libvirt has no figures there: what was silence on the console is an upper bound.
    pause_ms = figure.get("Total downtime", domain.gap_ms())
    verdict = domain.verify()
    print(f"# {domain.name}: {figure.get('Time elapsed', '?')} ms, pause {pause_ms:.0f} ms, silent "
          f"{domain.gap_ms():.0f} ms, sent {figure.get('Data processed', 0) >> 20} MiB in "
          f"{figure.get('Iteration', '?')} passes, wrong pages {verdict}")
    check(pause_ms <= limit_ms, f"pause of {pause_ms:.0f} ms, {limit_ms} allowed")
    if verdict.wrong is None:
        raise Skip(f"/dev/kvm does not open: {verdict.reason}")
    same(verdict.wrong, 0, f"wrong pages ({verdict.reason})")


def wait_knobs(domain: Domain, wanted: dict, timeout: float = 10):
    """Waits until every knob has the value wanted. Taints the domain."""
    end = time.monotonic() + timeout
    while (now := domain.knobs()) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    same({k: (wanted[k], now[k]) for k in wanted if now[k] != wanted[k]}, {}, "knobs left behind (wanted, found)")


def wait_decision(bus: Bus, migration: str, wanted, timeout: float = 30) -> dict:
    """Waits until a decision for which `wanted(line)` holds is in the trace."""
    end = time.monotonic() + timeout
    while not (found := next((d for d in trace(bus, migration, "decision") if wanted(d)), None)):
        status = bus.status(migration)
        check(status["State"] != "finished", f"finished ({status['Result']}, {status['Error']}) before the decision")
        check(time.monotonic() < end, f"decision not seen in {timeout:.0f} s; the last: {status['LastDecision']}")
        time.sleep(0.05)
    return found
