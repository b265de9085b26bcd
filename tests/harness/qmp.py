# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small synchronous QMP client. One thread, one socket; events are kept in the order in which they came."""

import json
import socket
import time
from collections import deque


class QmpError(Exception):
    """QEMU refused a command."""


class QmpLost(Exception):
    """The monitor is gone."""


class Qmp:
    def __init__(self, path: str, timeout: float = 10):
        self.timeout = timeout
        self.events: deque[dict] = deque()
        self._buffer = b""
        self._socket = self._connect(path)
        self._read(time.monotonic() + timeout)  # the greeting
        self.command("qmp_capabilities")

    def _connect(self, path: str) -> socket.socket:
        end = time.monotonic() + self.timeout
        while True:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(path)
                return s
            except OSError as e:
                s.close()
                if time.monotonic() > end:
                    raise QmpLost(f"{path}: {e}") from e
                time.sleep(0.01)

    def _read(self, end: float) -> dict | None:
        """The next message, None when there is none until `end`."""
        while b"\n" not in self._buffer:
            self._socket.settimeout(max(end - time.monotonic(), 0.0001))
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                return None
            except OSError as e:
                raise QmpLost(str(e)) from e
            if not data:
                raise QmpLost("end of file")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        message = json.loads(line)
        message["seen"] = time.monotonic()
        return message

    def command(self, name: str, **arguments):
        """Sends `name` and returns what QEMU answers. Underscores in argument names stand for dashes."""
        request: dict = {"execute": name}
        if arguments:
            request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as e:
            raise QmpLost(str(e)) from e
        end = time.monotonic() + self.timeout
        while True:
            message = self._read(end)
            if message is None:
                raise TimeoutError(f"no answer to {name}")
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise QmpError(f"{name}: {message['error'].get('desc')}")
            elif "return" in message:
                return message["return"]

    def next_event(self, timeout: float) -> dict | None:
        """The oldest event not yet taken, waiting for one at most `timeout` seconds."""
        end = time.monotonic() + timeout
        while not self.events:
            message = self._read(end)
            if message is None:
                return None
            if "event" in message:
                self.events.append(message)
        return self.events.popleft()

    def close(self):
        self._socket.close()
