# SPDX-License-Identifier: LGPL-2.1-or-later
"""What migrationd costs when nothing happens: 50 QMP peers that are connected and silent."""

import argparse
import json
import sys
import time
from pathlib import Path

from .bus import Bus
from .fake_qemu import FakeHost


def cpu_ns(pid: int) -> int:
    """Time on a CPU, all threads, from the scheduler."""
    return sum(int(p.read_text().split()[0]) for p in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def status(pid: int, key: str) -> int:
    """A figure of /proc/PID/status, summed over the threads where it is kept for each."""
    paths = [Path(f"/proc/{pid}/status")] if key.startswith("Vm") else Path(f"/proc/{pid}/task").glob("*/status")
    return sum(int(line.split()[1]) for p in paths for line in p.read_text().splitlines()
               if line.startswith(key + ":"))


def measure(sockets: int, seconds: float) -> dict:
    with Bus() as bus:
        host = FakeHost(bus.qmp_dir, [f"idle-{i:02}" for i in range(sockets)])
        try:
            bus.start_daemon()
            host.wait_connected()
            time.sleep(3)  # whatever follows the connection
            pid = bus.daemon.pid
            begin, cpu, switches = time.monotonic(), cpu_ns(pid), status(pid, "voluntary_ctxt_switches")
            time.sleep(seconds)
            elapsed = time.monotonic() - begin
            return {"sockets": sockets, "seconds": round(elapsed, 1),
                    "cpu_ms_per_s": round((cpu_ns(pid) - cpu) / 1e6 / elapsed, 4),
                    "wakeups_per_s": round((status(pid, "voluntary_ctxt_switches") - switches) / elapsed, 3),
                    "rss_kib": status(pid, "VmRSS"), "threads": len(list(Path(f"/proc/{pid}/task").iterdir()))}
        finally:
            host.close()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench idle", description=__doc__)
    parser.add_argument("--sockets", type=int, default=50, help="QMP peers (50)")
    parser.add_argument("--seconds", type=float, default=30, help="how long to look (30)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args(arguments)
    result = measure(options.sockets, options.seconds)
    if options.json:
        json.dump(result, sys.stdout)
        print()
    else:
        print(f"{result['sockets']} sockets, {result['seconds']} s: {result['cpu_ms_per_s']} ms CPU/s, "
              f"{result['wakeups_per_s']} wakeups/s, {result['rss_kib'] / 1024:.1f} MiB RSS, "
              f"{result['threads']} threads")
    return 0
