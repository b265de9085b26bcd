# SPDX-License-Identifier: LGPL-2.1-or-later
"""A narrow way to another host: relays TCP connections and lets each carry so much and no more, as a CPU or the window
does on a real link. A program of its own: relay.py ADDRESS PORT TARGET BYTES_PER_S, started by narrow.py."""

import socket
import sys
import threading
import time

# Small, so that what is measured is the pace and not the buffers.
BUFFER = 1 << 17
CHUNK = 1 << 16


def pump(source: socket.socket, sink: socket.socket, bytes_per_s: int):
    due = time.monotonic()
    try:
        while data := source.recv(CHUNK):
            sink.sendall(data)
            # What was not sent in time is not made up for, but for a moment.
            due = max(due, time.monotonic() - 0.05) + len(data) / bytes_per_s
            time.sleep(max(0.0, due - time.monotonic()))
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        sink.close()


def relay(client: socket.socket, server: socket.socket, bytes_per_s: int):
    with client, server:
        threads = [threading.Thread(target=pump, args=ends, daemon=True)
                   for ends in ((client, server, bytes_per_s), (server, client, bytes_per_s))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main(address: str, port: str, target: str, bytes_per_s: str):
    with socket.create_server((address, int(port))) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)  # before the window is agreed on
        print("ready", flush=True)
        while True:
            client, _ = listener.accept()
            server = socket.socket()
            for end in (client, server):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            # In the order in which they came: before QEMU 8.0 the first to arrive is taken for the main channel.
            server.connect((target, int(port)))
            threading.Thread(target=relay, args=(client, server, int(bytes_per_s)), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
