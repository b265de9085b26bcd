# SPDX-License-Identifier: LGPL-2.1-or-later
"""The other end of sd_notify(3)."""

import os
import shutil
import socket
import tempfile
import time

from gi.repository import GLib

from harness.case import check


class NotifySocket:
    def __init__(self):
        self._directory = tempfile.mkdtemp(prefix="migd-notify-")
        self.path = f"{self._directory}/notify"
        self.messages: list[tuple[float, str]] = []  # when, assignment
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def heard(self, start: str) -> list[tuple[float, str]]:
        """What has come so far and begins like this."""
        while True:
            try:
                text = self._socket.recv(65536).decode()
            except BlockingIOError:
                return [m for m in self.messages if m[1].startswith(start)]
            self.messages += [(time.monotonic(), line) for line in text.splitlines()]

    def wait(self, start: str, number: int = 1, timeout: float = 10) -> list[tuple[float, str]]:
        end = time.monotonic() + timeout
        while len(found := self.heard(start)) < number:
            check(time.monotonic() < end and os.path.exists(self.path), f"{start!r} not seen: {self.messages}")
            GLib.MainContext.default().iteration(False)
            time.sleep(0.01)
        return found
