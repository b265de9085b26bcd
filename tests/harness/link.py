# SPDX-License-Identifier: LGPL-2.1-or-later
"""A link of a known speed: relays a unix socket to another at so many bytes a second, as a network would, pause or
not. (QEMU's own max-bandwidth does not hold while the guest stands still.) The relay is a program of its own,
link.py PATH TARGET SECONDS:BYTES_PER_S,…, so that nothing else in a test slows it; its times count from each
connection."""

import bisect
import os
import socket
import subprocess
import sys
import threading
import time

CHUNK = 32 << 10      # bytes: under a millisecond at the speeds of the tests
BUFFER = 64 << 10     # of the sockets: what is in flight is not on the other side
LATE_S = 0.02         # what we are late, not the sender, is made up for: up to this much
IDLE_S = 0.0005       # data that comes later than that was not waiting for us

Schedule = list[tuple[float, float]]  # (s, bytes/s), in order, the first at 0


class Link:
    """One connection at `path` after the other reaches `target`."""

    def __init__(self, path: str, target: str, schedule: Schedule):
        from .process import favour, spawn  # not where this file is the program
        self.path = path
        rates = ",".join(f"{at}:{round(bps)}" for at, bps in schedule)
        self._process = spawn([sys.executable, "-B", __file__, path, target, rates], stdout=subprocess.PIPE, text=True)
        favour(self._process)
        if self._process.stdout.readline() != "ready\n":
            self.close()
            raise RuntimeError(f"no link {path}")

    def close(self):
        self._process.kill()
        self._process.communicate()
        if os.path.exists(self.path):
            os.unlink(self.path)


def pump(source: socket.socket, sink: socket.socket):
    try:
        while data := source.recv(CHUNK):
            sink.sendall(data)
    except OSError:
        pass
    close(source, sink)


def pump_paced(source: socket.socket, sink: socket.socket, schedule: Schedule):
    start = begin = time.monotonic()
    times, due = [at for at, _ in schedule], 0.0
    try:
        while data := source.recv(CHUNK):
            now = time.monotonic()
            bps = schedule[bisect.bisect_right(times, now - start) - 1][1]
            due = max(due, now - (LATE_S if now - begin < IDLE_S else 0)) + len(data) / bps
            time.sleep(max(0.0, due - now))
            sink.sendall(data)
            begin = time.monotonic()
    except OSError:
        pass
    close(source, sink)


def close(*ends: socket.socket):
    for end in ends:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def main(path: str, target: str, rates: str):
    schedule = [tuple(map(float, rate.split(":"))) for rate in rates.split(",")]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        print("ready", flush=True)
        while True:
            client, _ = listener.accept()
            with client, socket.socket(socket.AF_UNIX) as sink:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
                sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
                try:
                    sink.connect(target)
                except OSError:
                    continue  # the sender sees its connection end
                back = threading.Thread(target=pump, args=(sink, client), daemon=True)
                back.start()
                pump_paced(client, sink, schedule)
                back.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
