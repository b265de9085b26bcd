# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes into a running guest's memory through QEMU's GDB server: tests plant damage that the guest must find."""

import socket

from .pair import Qemu


def _packet(stream, text: str) -> str:
    """Sends a packet and returns the answer, skipping the stop replies that the pause on connect brings."""
    stream.write(b"$%s#%02x" % (text.encode(), sum(text.encode()) % 256))
    stream.flush()
    while True:
        answer = b""
        while not answer.endswith(b"#"):
            byte = stream.read(1)
            if not byte:
                raise ConnectionError("the GDB server closed the connection")
            answer = b"" if byte in b"$" else answer + byte
        stream.read(2)  # checksum
        stream.write(b"+")
        stream.flush()
        if answer[:1] not in (b"T", b"S"):
            return answer[:-1].decode()


def write_memory(qemu: Qemu, directory: str, address: int, data: bytes):
    """Overwrites guest-physical memory. The guest stands still meanwhile and runs on afterwards."""
    path = f"{directory}/{qemu.name}-gdb.sock"
    line = f"gdbserver unix:{path},server=on,wait=off"
    qemu.qmp.command("human-monitor-command", command_line=line)
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(path)
        stream = s.makefile("rwb")
        if (answer := _packet(stream, f"M{address:x},{len(data):x}:{data.hex()}")) != "OK":
            raise RuntimeError(f"GDB server: {answer}")
        _packet(stream, "D")
    qemu.qmp.command("human-monitor-command", command_line="gdbserver none")
