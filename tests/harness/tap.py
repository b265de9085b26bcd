# SPDX-License-Identifier: LGPL-2.1-or-later
"""A wire tap on a QMP socket: relays between migrationd and QEMU and keeps what migrationd sent."""

import json
import os
import socket
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    seen: float
    name: str
    arguments: str  # JSON, keys sorted

    def is_query(self) -> bool:
        # A limit for a vCPU that no machine has: asks whether there is a dirty ring, and cannot succeed.
        asks = self.name == "set-vcpu-dirty-limit" and json.loads(self.arguments).get("cpu-index", 0) < 0
        return self.name.startswith("query-") or self.name == "qmp_capabilities" or asks

    def __str__(self):
        return f"{self.name} {self.arguments}"


class Tap:
    def __init__(self, path: str, target: str):
        self.path = path
        self.target = target
        self.commands: list[Command] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(1)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        """One client at a time, as QEMU does it."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            qemu = socket.socket(socket.AF_UNIX)
            with client, qemu:
                try:
                    qemu.connect(self.target)
                except OSError:
                    continue
                self._open = [client, qemu]
                back = threading.Thread(target=self._relay, args=(qemu, client, None), daemon=True)
                back.start()
                self._relay(client, qemu, self._note)
                back.join()

    @staticmethod
    def _relay(source: socket.socket, sink: socket.socket, note):
        rest = b""
        try:
            while data := source.recv(65536):
                if note:
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        note(line)
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _note(self, line: bytes):
        if line.strip():
            message = json.loads(line)
            self.commands.append(Command(time.monotonic(), message.get("execute", ""),
                                         json.dumps(message.get("arguments", {}), sort_keys=True)))

    def actions(self, since: float = 0) -> list[Command]:
        """What was not a query."""
        return [c for c in self.commands if c.seen >= since and not c.is_query()]

    def close(self):
        for s in [self._listener, *self._open]:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._listener.close()
        if os.path.exists(self.path):
            os.unlink(self.path)
