# SPDX-License-Identifier: LGPL-2.1-or-later
"""A link of a known speed: relays a unix socket to another at so many bytes a second, as a network would, pause or
not. (QEMU's own max-bandwidth does not hold while the guest is stopped.)"""

import os
import socket
import threading
import time

CHUNK = 32 << 10      # bytes: under a millisecond at the speeds of the tests
LATE_S = 0.02         # what we are late, not the sender, is made up for: up to this much
IDLE_S = 0.0005       # data that comes later than that was not waiting for us
BUFFER = 64 << 10     # of the sockets: what is in flight is not on the other side


class Link:
    """Takes one connection at `path` after the other. `bps` may be changed at any time; 0 = as fast as it goes."""

    def __init__(self, path: str, target: str, bps: float):
        self.path = path
        self.target = target
        self.bps = bps
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._listener.bind(path)
        self._listener.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def follow(self, schedule: list[tuple[float, float]]):
        """From now on: (seconds from now, bytes/s), in order."""
        begin = time.monotonic()

        def change():
            for at, bps in schedule:
                time.sleep(max(0.0, begin + at - time.monotonic()))
                self.bps = bps

        threading.Thread(target=change, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, socket.socket(socket.AF_UNIX) as sink:
                sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
                try:
                    sink.connect(self.target)
                except OSError:
                    continue
                self._open = [client, sink]
                back = threading.Thread(target=self._relay, args=(sink, client, False), daemon=True)
                back.start()
                self._relay(client, sink, True)
                back.join()

    def _relay(self, source: socket.socket, sink: socket.socket, paced: bool):
        due = 0.0
        try:
            begin = time.monotonic()
            while data := source.recv(CHUNK):
                now = time.monotonic()
                due = max(due, now - (LATE_S if now - begin < IDLE_S else 0))
                if paced and self.bps:
                    due += len(data) / self.bps
                    if due > now:
                        time.sleep(due - now)
                sink.sendall(data)
                begin = time.monotonic()
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        for s in [self._listener, *self._open]:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._listener.close()
        if os.path.exists(self.path):
            os.unlink(self.path)
