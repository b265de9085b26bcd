# SPDX-License-Identifier: LGPL-2.1-or-later
"""QMP peers without a QEMU behind them, many in one thread: the answers of QEMU 7.2, and a migration of a plateau
guest that is stepped by whoever holds the script. For benchmarks of the daemon alone."""

import json
import os
import selectors
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field

MIB = 1 << 20
VERSION = {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}
GREETING = {"QMP": {"version": VERSION, "capabilities": ["oob"]}}
CAPABILITIES = [
    "xbzrle", "rdma-pin-all", "auto-converge", "zero-blocks", "compress", "events", "postcopy-ram", "x-colo",
    "release-ram", "block", "return-path", "pause-before-switchover", "multifd", "dirty-bitmaps",
    "postcopy-blocktime", "late-block-activate", "x-ignore-shared", "validate-uuid", "background-snapshot",
    "zero-copy-send", "postcopy-preempt",
]
PARAMETERS = {"cpu-throttle-initial": 20, "cpu-throttle-increment": 10, "cpu-throttle-tailslow": False,
              "max-cpu-throttle": 99, "throttle-trigger-threshold": 50, "max-bandwidth": 400 * MIB,
              "downtime-limit": 300, "max-postcopy-bandwidth": 0, "multifd-channels": 2,
              "xbzrle-cache-size": 64 * MIB, "announce-initial": 50, "announce-max": 550, "announce-rounds": 5,
              "announce-step": 100, "block-incremental": False, "tls-creds": "", "tls-hostname": "", "tls-authz": ""}


@dataclass
class Migration:
    """A guest that rewrites `working_set` at `rate`, over a link of `bandwidth`, with auto-converge on."""
    working_set: int = 60 * MIB
    rate: int = 900 * MIB
    bandwidth: int = 400 * MIB
    started: float = field(default_factory=time.monotonic)
    synced: float = 0
    passes: int = 0
    high: int = 0        # syncs over the threshold
    throttle: int = 0
    transferred: int = 0
    remaining: int = 64 * MIB
    status: str = "active"

    def pass_s(self) -> float:
        return self.remaining / self.bandwidth

    def sync(self, parameters: dict):
        """The end of a pass, and QEMU's auto-converge as it is in 7.2."""
        period = time.monotonic() - (self.synced or self.started)
        self.synced = time.monotonic()
        self.passes += 1
        if self.passes == 1:
            return
        self.transferred += self.remaining
        sent, rate = self.remaining, self.rate * (100 - self.throttle) / 100
        self.remaining = int(min(self.working_set, rate * period))
        if self.remaining * 100 <= sent * parameters["throttle-trigger-threshold"]:
            return
        self.high += 1
        if self.high < 2:
            return
        self.high = 0
        step = parameters["cpu-throttle-increment" if self.throttle else "cpu-throttle-initial"]
        self.throttle = min(self.throttle + step, parameters["max-cpu-throttle"])

    def info(self) -> dict:
        total_ms = int((time.monotonic() - self.started) * 1000)
        info = {"status": self.status, "total-time": total_ms, "setup-time": 1, "expected-downtime": 300,
                "ram": {"total": 128 * MIB, "remaining": self.remaining, "transferred": self.transferred,
                        "duplicate": 100, "skipped": 0, "normal": self.transferred >> 12,
                        "normal-bytes": self.transferred, "page-size": 4096, "multifd-bytes": 0,
                        "pages-per-second": self.bandwidth >> 12, "mbps": self.bandwidth * 8 / 1e6,
                        "dirty-sync-count": self.passes, "postcopy-requests": 0,
                        "dirty-pages-rate": self.rate * (100 - self.throttle) // 100 >> 12 if self.passes > 1 else 0,
                        "precopy-bytes": self.transferred, "downtime-bytes": 0, "postcopy-bytes": 0}}
        if self.throttle:
            info["cpu-throttle-percentage"] = self.throttle
        if self.status == "completed":
            info["downtime"] = 10
        return info


class FakeQemu:
    """One peer: a state that the commands read and write. `seen` is called as seen(name, arguments, time)."""

    def __init__(self, name: str):
        self.name = name
        self.uuid = str(uuid.uuid4())
        self.parameters = dict(PARAMETERS)
        self.capabilities = dict.fromkeys(CAPABILITIES, False) | {"events": True, "auto-converge": True}
        self.migration: Migration | None = None
        self.connection: socket.socket | None = None
        self.seen = lambda *_: None
        self._answers = {
            "qmp_capabilities": lambda a: {},
            "query-status": lambda a: {"status": "running", "running": True, "singlestep": False},
            "query-name": lambda a: {"name": self.name},
            "query-uuid": lambda a: {"UUID": self.uuid},
            "query-kvm": lambda a: {"enabled": True, "present": True},
            "query-version": lambda a: VERSION,
            "query-memory-size-summary": lambda a: {"base-memory": 128 * MIB},
            "query-migrate": lambda a: self.migration.info() if self.migration else {},
            "query-migrate-parameters": lambda a: dict(self.parameters),
            "query-migrate-capabilities": lambda a: [{"capability": k, "state": v}
                                                     for k, v in self.capabilities.items()],
            "migrate-set-parameters": lambda a: self.parameters.update(a) or {},
            "migrate-set-capabilities": self._set_capabilities,
        }

    def _set_capabilities(self, arguments: dict) -> dict:
        self.capabilities.update({c["capability"]: c["state"] for c in arguments["capabilities"]})
        return {}

    def answer(self, request: dict) -> dict:
        name = request.get("execute", "")
        arguments = request.get("arguments", {})
        self.seen(name, arguments, time.monotonic())
        handler = self._answers.get(name)
        reply: dict = {"return": handler(arguments)} if handler else {
            "error": {"class": "CommandNotFound", "desc": f"The command {name} has not been found"}}
        if "id" in request:
            reply["id"] = request["id"]
        return reply

    def event(self, name: str, **data) -> float:
        """Sends an event; when it was sent."""
        micro = int(time.time() * 1e6)
        line = json.dumps({"timestamp": {"seconds": micro // 10**6, "microseconds": micro % 10**6}, "event": name,
                           "data": data}).encode() + b"\r\n"
        now = time.monotonic()
        self.connection.sendall(line)
        return now


class FakeHost:
    """Serves the sockets of many peers from one thread. As a QEMU does, each talks to one client at a time."""

    def __init__(self, directory: str, names: list[str]):
        self.peers = [FakeQemu(name) for name in names]
        self._selector = selectors.DefaultSelector()
        self._listeners = []
        for peer in self.peers:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(f"{directory}/{peer.name}.qmp")
            listener.listen(1)
            self._selector.register(listener, selectors.EVENT_READ, (peer, None))
            self._listeners.append((listener, f"{directory}/{peer.name}.qmp"))
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while not self._stopped:
            for key, _ in self._selector.select(0.2):
                peer, buffer = key.data
                if buffer is None:
                    self._accept(key.fileobj, peer)
                else:
                    self._read(key.fileobj, peer, buffer)

    def _accept(self, listener: socket.socket, peer: FakeQemu):
        connection, _ = listener.accept()
        connection.sendall(json.dumps(GREETING).encode() + b"\r\n")
        self._selector.register(connection, selectors.EVENT_READ, (peer, bytearray()))
        peer.connection = connection

    def _read(self, connection: socket.socket, peer: FakeQemu, buffer: bytearray):
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            connection.close()
            if peer.connection is connection:
                peer.connection = None
            return
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            request = json.loads(buffer[:end])
            del buffer[:end + 1]
            connection.sendall(json.dumps(peer.answer(request)).encode() + b"\r\n")

    def wait_connected(self, timeout: float = 10):
        end = time.monotonic() + timeout
        while any(peer.connection is None for peer in self.peers):
            if time.monotonic() > end:
                raise TimeoutError("migrationd did not connect to every socket")
            time.sleep(0.02)

    def close(self):
        self._stopped = True
        self._thread.join()
        for listener, path in self._listeners:
            listener.close()
            os.unlink(path)
        for peer in self.peers:
            if peer.connection:
                peer.connection.close()
