# SPDX-License-Identifier: LGPL-2.1-or-later
"""The test guest as a libvirt domain: started on one host, migrated by virsh, checked where it arrives."""

import subprocess
import time
import uuid

from . import paths
from .guest import Console, Verdict, verify_arrival
from .hosts import Host, Hosts
from .pair import MIB, accelerator
from .virsh import VirshError

XML = """<domain type="{type}">
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  {metadata}
  <memory unit="MiB">{memory}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch="x86_64" machine="pc">hvm</type>
    {loader}
    <kernel>{kernel}</kernel>
    <cmdline>{append}</cmdline>
  </os>
  <features><acpi/>{ring}</features>
  <on_reboot>destroy</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type="usb" model="none"/>
    <serial type="unix">
      <source mode="connect" path="{console}"/>
      <target type="isa-debug"><model name="isa-debugcon"/></target>
      <address type="isa" iobase="0xe9"/>
    </serial>
    <memballoon model="none"/>
    <audio id="1" type="none"/>
  </devices>
</domain>
"""
UNCHECKED = "QEMU before 9 loses dirty pages under TCG"


class Domain:
    """A guest and where it is. `host` is where it was last seen to run; `arrive` moves it on."""

    def __init__(self, hosts: Hosts, name: str, append: str, speed_mib: int = 40, metadata: str = "",
                 ring: int = 0):
        self.hosts = hosts
        self.name = name
        self.uuid = str(uuid.uuid4())
        self.append = append
        self.speed_mib = speed_mib
        words = dict(word.split("=", 1) for word in append.split())
        self.touched = (int(words.get("ws", 64)) + int(words.get("touch", 0))) * MIB
        self.accel = accelerator()
        self.xml = XML.format(
            type="kvm" if self.accel == "kvm" else "qemu", name=name, uuid=self.uuid, memory=self.touched // MIB + 32,
            kernel=paths.guest(), append=append, console=f"/run/guests/{name}",
            ring=f"<kvm><dirty-ring state='on' size='{ring}'/></kvm>" if ring else "",
            metadata=f"<metadata>{metadata}</metadata>" if metadata else "",
            loader=f'<loader type="rom">{paths.QBOOT}</loader>' if paths.QBOOT.exists() else "")
        self.host: Host | None = None
        self.consoles: dict[Host, Console] = {}

    def listen(self, host: Host) -> Console:
        """A fresh ear for the guest on that host: before each start and each migration to it."""
        if host in self.consoles:
            self.consoles[host].close()
        self.consoles[host] = Console(f"{host.directory}/run/guests/{self.name}")
        return self.consoles[host]

    def start(self, host: Host, persistent: bool = False):
        """Boots it and waits for its first report."""
        console = self.listen(host)
        path = host.directory / f"{self.name}.xml"
        path.write_text(self.xml)
        if persistent:
            host.virsh("define", str(path))
            host.virsh("start", self.name)
        else:
            host.virsh("create", str(path))
        self.host = host
        host.virsh("migrate-setspeed", self.name, str(self.speed_mib))
        console.wait(lambda c: c.last, 60, "first report")

    @property
    def console(self) -> Console:
        return self.consoles[self.host]

    def migrate(self, *options: str, p2p: bool = True) -> subprocess.Popen:
        """Starts `virsh migrate --live` to the other host, behind migrationd's back."""
        target = self.hosts.peer(self.host)
        self.listen(target)
        return self.host.virsh.popen("migrate", "--live", *(("--p2p",) if p2p else ()), *options, self.name, target.uri)

    def arrive(self):
        """It now lives on the other host."""
        self.host = self.hosts.peer(self.host)

    def verify(self, timeout: float = 60) -> Verdict:
        """Its memory, on the host where it arrived."""
        before = self.consoles[self.hosts.peer(self.host)].last
        return verify_arrival(before, self.console, UNCHECKED if self.accel == "tcg" else "", timeout)

    def gap_ms(self) -> float:
        """From its last sign of life on the other host to its first one here."""
        self.console.wait(lambda c: c.first_beat, 30, "sign of life at the destination")
        return max(0.0, self.console.first_beat - self.consoles[self.hosts.peer(self.host)].last_beat) * 1000

    def runs_on(self):
        """Waits until it has worked for another half second, undamaged, where it is."""
        first = self.console.last
        last = self.console.wait(lambda c: c.last if c.last.up >= first.up + 500 else None, 30, "further report")
        if last.done <= first.done or last.wrong or last.lost:
            raise AssertionError(f"{self.name} is damaged or stands still: {last}")

    def state(self) -> str:
        return self.host.virsh("domstate", self.name)

    def job(self) -> dict[str, str]:
        """What virsh domjobinfo says; {} when there is no job, or no domain any more."""
        try:
            lines = self.host.virsh("domjobinfo", self.name).splitlines()
        except VirshError:
            return {}
        job = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        return {} if job.get("Job type", "None") == "None" else job

    def wait_pass(self, number: int, timeout: float = 60):
        """Until libvirt says that so many passes have ended."""
        end = time.monotonic() + timeout
        while int((self.job()).get("Iteration", 0)) < number:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name}: pass {number} not seen in {timeout:.0f} s")
            time.sleep(0.05)

    def knobs(self) -> dict:
        """All that a migration's behaviour depends on and that migrationd could leave behind, from QEMU itself. Taints
        the domain. Events are no knob."""
        capabilities = self.host.virsh.monitor(self.name, "query-migrate-capabilities")
        return self.host.virsh.monitor(self.name, "query-migrate-parameters") | {
            f"cap:{c['capability']}": c["state"] for c in capabilities if c["capability"] != "events"}

    def close(self):
        """Ends it wherever it is."""
        for host in self.consoles:
            try:
                host.virsh("destroy", self.name)
            except VirshError:
                pass  # it is not there
        for console in self.consoles.values():
            console.close()
