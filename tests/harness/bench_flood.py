# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a flood of calls does to a live migration: the time from MIGRATION_PASS to the command that answers it, while
clients of another user call as fast as they can, connect and vanish, and listen without reading. Also how much memory
the daemon takes, how many calls are refused and with which words."""

import argparse
import collections
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from .bench_latency import PROFILE, Stopwatch, migrate_once, percentile
from .bus import Bus
from .fake_qemu import FakeHost
from .process import favour, favoured, spawn

LATENCY_LIMIT_MS, MEMORY_LIMIT_MIB = 50, 64
# Another user's process loses its tie to our end, so it is tied anew.
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig=KILL"]
CLIENT = r"""
import collections, json, os, signal, sys, time
from gi.repository import Gio, GLib
address, kind = sys.argv[1:3]
NAME, ROOT, MANAGER = "org.migrationd1", "/org/migrationd1", "org.migrationd1.Manager"
CALLS = [(MANAGER, "ListDomains", GLib.Variant("(a{sv})", ({},))),
         (MANAGER, "ListMigrations", GLib.Variant("(a{sv})", ({},))),
         (MANAGER, "SetMode", GLib.Variant("(s)", ("observe",))),
         ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None),
         ("org.freedesktop.DBus.Properties", "GetAll", GLib.Variant("(s)", (MANAGER,)))]
ends, texts = collections.Counter(), {}
loop = GLib.MainLoop()

def tell(*_):
    print(json.dumps([ends, texts]), flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, tell)  # not on the loop, which may sleep for long

def connect():
    flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
    connection = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
    connection.set_exit_on_close(False)
    return connection

def count(connection, result):
    try:
        connection.call_finish(result)
        ends["ok"] += 1
    except GLib.Error as e:
        name = Gio.DBusError.get_remote_error(e) or "closed"
        ends[name] += 1
        texts[name] = e.message

def call(connection, number, done):
    interface, method, arguments = CALLS[number % len(CALLS)]
    connection.call(NAME, ROOT, interface, method, arguments, None, 0, 20000, None, done)

def fast():
    # 64 calls are always under way: twice what the daemon lets one connection have.
    connection, state = connect(), [0]
    def again(source, result):
        count(source, result)
        state[0] += 1
        call(connection, state[0], again)
    for number in range(64):
        call(connection, number, again)

def vanishing():
    def once():
        try:
            connection = connect()
            for number in range(4):
                call(connection, number, None)
            connection.flush_sync()
            connection.close_sync()
            ends["vanished"] += 1
        except GLib.Error as e:
            ends["no connection"] += 1
        return True
    GLib.idle_add(once)

def deaf():
    # Asks for all signals, and for answers, and reads neither.
    s = connect()
    s.signal_subscribe(NAME, None, None, None, None, 0, lambda *_: time.sleep(0.5))
    def once():
        for number in range(8):
            call(s, number, None)
            ends["unread"] += 1
        return True
    GLib.timeout_add(20, once)

{"fast": fast, "vanishing": vanishing, "deaf": deaf}[kind]()
loop.run()
"""


def flood(bus: Bus, kinds: list[str]) -> list[subprocess.Popen]:
    os.chmod(bus.directory, 0o711)
    prefix = NOBODY if os.geteuid() == 0 else []
    return [spawn([*prefix, sys.executable, "-c", CLIENT, bus.address, kind], stdout=subprocess.PIPE, text=True,
                  cwd="/") for kind in kinds]


def memory_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def drain(clients: list[subprocess.Popen]) -> tuple[collections.Counter, dict[str, str]]:
    ends: collections.Counter = collections.Counter()
    texts: dict[str, str] = {}
    for client in clients:
        client.terminate()
    for client in clients:
        try:
            output, _ = client.communicate(timeout=20)
            more, words = json.loads(output.splitlines()[-1])
            ends.update(more)
            texts.update(words)
        except (subprocess.TimeoutExpired, IndexError):
            client.kill()
            client.communicate()
    return ends, texts


def measure(seconds: float, kinds: list[str]) -> dict:
    watch = Stopwatch()
    with Bus() as bus:
        Path(f"{bus.profile_dir}/default.conf").write_text(PROFILE)
        host = FakeHost(bus.qmp_dir, ["fake"])
        clients: list[subprocess.Popen] = []
        try:
            bus.start_daemon()
            favour(bus.daemon)
            host.wait_connected()
            bus.wait_domain("fake")
            peer = host.peers[0]
            peer.seen = watch.seen
            clients = flood(bus, kinds)
            memory = [memory_mib(bus.daemon.pid)]
            begin = time.monotonic()
            with favoured():
                while time.monotonic() - begin < seconds:
                    migrate_once(peer, watch)
                    memory.append(memory_mib(bus.daemon.pid))
            elapsed = time.monotonic() - begin
            ends, texts = drain(clients)
            clients = []
            bus.json("list")  # it still answers
        finally:
            for client in clients:
                client.kill()
                client.communicate()
            host.close()
    calls = sum(n for end, n in ends.items() if end not in ("vanished", "no connection"))
    return {"seconds": round(elapsed), "calls_per_second": round(calls / elapsed), "ends": dict(ends), "texts": texts,
            "vanished": ends["vanished"], "action_n": len(watch.action_us),
            "action_p50_ms": round(percentile(watch.action_us, 50) / 1000, 2),
            "action_p99_ms": round(percentile(watch.action_us, 99) / 1000, 2),
            "action_max_ms": round(max(watch.action_us, default=0) / 1000, 2),
            "memory_first_mib": round(memory[0], 1), "memory_max_mib": round(max(memory), 1)}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench flood", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long (600)")
    parser.add_argument("--fast", type=int, default=2, help="clients that call as fast as they can (2)")
    parser.add_argument("--vanishing", type=int, default=1, help="clients that connect, call and vanish (1)")
    parser.add_argument("--deaf", type=int, default=4, help="clients that do not read (4)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args(arguments)
    kinds = ["fast"] * options.fast + ["vanishing"] * options.vanishing + ["deaf"] * options.deaf
    result = measure(options.seconds, kinds)
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{result['seconds']} s, {result['calls_per_second']} calls/s, {result['vanished']} clients vanished")
        for end, number in sorted(result["ends"].items(), key=lambda item: -item[1]):
            print(f"  {number:>9} {end}")
        for name, text in result["texts"].items():
            print(f"  {name}: {text}")
        print(f"MIGRATION_PASS to the deciding command ({result['action_n']}): p50 {result['action_p50_ms']} ms, "
              f"p99 {result['action_p99_ms']} ms, max {result['action_max_ms']} ms "
              f"(limit of p99: {LATENCY_LIMIT_MS} ms)")
        print(f"memory of the daemon: {result['memory_first_mib']} MiB at first, {result['memory_max_mib']} MiB "
              f"at most (limit: {MEMORY_LIMIT_MIB} MiB)")
    good = (result["action_n"] > 0 and result["action_p99_ms"] <= LATENCY_LIMIT_MS
            and result["memory_max_mib"] <= MEMORY_LIMIT_MIB)
    return 0 if good else 1
