# SPDX-License-Identifier: LGPL-2.1-or-later
"""A scenario made real: one engine brings the guest of a Twin over a link, and the same text is simulated."""

import json
import math
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from . import paths
from .bus import Bus
from .engines import WorkMeter
from .pair import Pair
from .twin import SETTLE_MS, Twin, size

NAME = "twin"
ARRIVED = ("completed", "postcopy", "paused")
SLACK_S = 20      # for the start, and for giving up
DISTURBED_S = 0.3 # of work, that neither a throttle nor a pause took from the guest
PAUSE_MS = 15     # beside sending
STOP_MS = 4       # of them are usual: to stop the guest, read the dirty log, send the devices
TELLS_S = 0.5     # of throttle tell how the guest responds to it


@dataclass
class RealRun:
    account: dict             # in the words of `migrationctl simulate --json`
    simulated: dict           # the same, of the same text
    wrong: str = "-"          # pages, or "unchecked"; "-" where the guest stayed
    work_lost_s: float = 0    # by the guest's own count
    gap_ms: float = 0         # of silence
    text: str = ""            # the scenario that both had
    rate_factor: float = 1    # what the guest dirtied before the start, of what was wanted
    pause_bytes: int = 0      # sent while the guest stood still
    link_bps: float = 0       # of the link then; 0 = it changes with time
    errors: list[str] = field(default_factory=list)

    @property
    def disturbed(self) -> str:
        """Why this was not the run that the scenario describes, but the work of something else on this machine; "" if
        it was. Only what can be told without the simulation."""
        held_s = self.account["throttle_seconds"] + self.account["downtime_ms"] / 1000
        if self.work_lost_s > held_s + DISTURBED_S:
            return f"the guest lost {self.work_lost_s:.2f} s of work, {held_s:.2f} of them to throttle and pause"
        sending_ms = self.pause_bytes / self.link_bps * 1000 if self.link_bps else math.inf
        if self.pause_bytes and self.account["downtime_ms"] > sending_ms + PAUSE_MS:
            return f"the pause took {self.account['downtime_ms']} ms for {sending_ms:.0f} ms of sending"
        return ""

    @property
    def arrived(self) -> bool:
        return self.account["result"] in ARRIVED


def simulate(text: str, engine: str) -> dict:
    with tempfile.NamedTemporaryFile("w", suffix=".scenario", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([paths.migrationctl(), "simulate", "--json=short", "--engine", engine, file.name],
                              capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"migrationctl simulate: {done.stderr.strip()}")
    return json.loads(done.stdout)[0]


def _drive(engine: str, twin: Twin, pair: Pair, text: str) -> dict:
    """As daemon/watch.c would, with tests/bench/engine-run.c."""
    scenario = Path(pair.directory, f"{twin.name}.scenario")
    scenario.write_text(text, encoding="utf-8")
    done = subprocess.run([paths.program("tests/bench/engine-run"), "--qmp", pair.qmp_dir, "--domain", NAME,
                           "--destination", pair.uri, "--engine", engine, scenario],
                          capture_output=True, text=True, check=False, timeout=twin.time_limit_s + SLACK_S)
    if done.returncode:
        raise RuntimeError(f"{engine}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def _by_daemon(twin: Twin, pair: Pair, bus: Bus) -> dict:
    """migrationd itself, asked through migrationctl. Only for guests that arrive."""
    pair.set_parameters(max_bandwidth=round(size(twin.value("link", "max-bandwidth", "none"))))
    report = bus.json("migrate", NAME, pair.uri, "--wait", timeout=twin.time_limit_s + SLACK_S)
    info = pair.info()
    return {"result": "completed" if report["Result"] == "succeeded" else "aborted", "total_ms": info["total-time"],
            "downtime_ms": info["downtime"], "passes": info["ram"]["dirty-sync-count"],
            "sent_bytes": info["ram"]["transferred"], "throttle_seconds": report["throttle_us"] / 1e6,
            "engine": "migrationd"}


def response(account: dict, work_lost_s: float) -> float:
    """x of the scenario: how much of what the throttle took from its vCPU the guest lost by its own count. One that
    waits for its time now and then, as this one does, makes up for a part."""
    taken_s = account["throttle_seconds"]
    if taken_s < TELLS_S:
        return 1
    return min(max((work_lost_s - account["downtime_ms"] / 1000) / taken_s, 0.5), 1)


def run(engine: str, twin: Twin, daemon: bool = False) -> RealRun:
    """`daemon`: migrationd itself is the engine, as a service of its own."""
    with tempfile.TemporaryDirectory(prefix="migd-twin-") as qmp_dir, Bus() as bus, Pair(
            twin.append, NAME, memory_mib=twin.memory_mib, qmp_dir=bus.qmp_dir if daemon else qmp_dir,
            link=twin.link()) as pair:
        if daemon:
            bus.start_daemon()
            bus.wait_domain(NAME)
        if twin.postcopy:
            pair.destination.qmp.command("migrate-set-capabilities", capabilities=[
                {"capability": "postcopy-ram", "state": True}])
        meter = WorkMeter(pair)
        costs = {"fixed_downtime": f"{STOP_MS}ms"}
        text = twin.text(meter.efficiency, **costs)
        console = pair.source.console
        console.wait(lambda c: c.last.up >= SETTLE_MS, 10, "report")
        account = _by_daemon(twin, pair, bus) if daemon else _drive(engine, twin, pair, text)
        arrived = account["result"] in ARRIVED
        last = pair.destination.console.wait(lambda c: c.last, 30, "report") if arrived else console.last
        lost_s = meter.lost_s(last)
        text = twin.text(meter.efficiency, throttle_response=f"{response(account, lost_s):.2f}", **costs)
        result = RealRun(account, simulate(text, engine), text=text, rate_factor=meter.efficiency, work_lost_s=lost_s,
                         link_bps=twin.link()[0][1] if len(twin.link()) == 1 else 0)
        if not arrived:
            return result
        result.gap_ms = pair.gap_ms()
        result.pause_bytes = pair.info()["ram"].get("downtime-bytes", 0)
        verdict = pair.verify_destination()
        result.wrong = str(verdict)
        if verdict.wrong:
            result.errors.append(f"{verdict.wrong} wrong pages: {verdict.reason}")
        return result
