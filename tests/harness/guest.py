# SPDX-License-Identifier: LGPL-2.1-or-later
"""Listens to the test guest: its debug console arrives on a unix socket and each piece is stamped with our clock."""

import os
import socket
import threading
import time
from dataclasses import dataclass, field

PAGE = 4096


@dataclass
class Report:
    """One line of the guest (tests/guest/main.c), and when it came (CLOCK_MONOTONIC, s)."""
    seen: float
    up: int = 0        # ms
    rate: int = 0      # MB/s wanted now
    nominal: int = 0   # kB wanted so far
    done: int = 0      # pages dirtied so far
    swept: int = 0
    sweeps: int = 0
    wrong: int = 0     # pages
    lost: int = 0      # sweeps that did not add up
    read: int = 0      # pages that the second vCPU has read (reader=1); wraps at 2^32
    bad: int = 0       # address of the last wrong page


@dataclass
class Console:
    path: str
    ready: dict = field(default_factory=dict)
    error: str = ""
    reports: list[Report] = field(default_factory=list)
    first_beat: float = 0  # when the first and the last sign of life came
    last_beat: float = 0

    def __post_init__(self):
        self._changed = threading.Condition()
        self._ended = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        rest = b""
        try:
            stream, _ = self._listener.accept()
        except OSError:
            return
        with stream:
            while data := stream.recv(4096):
                now = time.monotonic()
                *lines, rest = (rest + data).split(b"\n")
                with self._changed:
                    self.first_beat = self.first_beat or now
                    self.last_beat = now
                    for line in lines:
                        self._line(line.decode(errors="replace").lstrip("."), now)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _line(self, line: str, now: float):
        kind, _, text = line.partition(" ")
        if kind == "error:":
            self.error = text
            return
        values = {k: int(v, 0) for k, _, v in (word.partition("=") for word in text.split())}
        if kind == "ready":
            self.ready = values
        elif kind == "r":
            self.reports.append(Report(now, **values))

    @property
    def last(self) -> Report | None:
        return self.reports[-1] if self.reports else None

    def wait(self, predicate, timeout: float, what: str):
        """Waits until `predicate(self)` holds and returns what it returned."""
        end = time.monotonic() + timeout
        with self._changed:
            while not (result := predicate(self)):
                if self.error:
                    raise RuntimeError(f"guest: {self.error}")
                if self._ended:
                    raise RuntimeError(f"guest: its QEMU ended before a {what} was seen")
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"guest: {what} not seen in {timeout:.0f} s")
                self._changed.wait(left)
        return result

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        if os.path.exists(self.path):
            os.unlink(self.path)


@dataclass
class Verdict:
    """What the guest says about its memory after it arrived."""
    wrong: int | None  # pages; None = unchecked
    reason: str        # why unchecked, or what is wrong

    def __str__(self):
        return "unchecked" if self.wrong is None else str(self.wrong)


def verify_arrival(before: Report, console: Console, unchecked: str = "", timeout: float = 60) -> Verdict:
    """Waits until `console` has told of one whole sweep over the guest's memory that began after it arrived there;
    `before` is its last report from where it came. `unchecked`: why the memory proves nothing here."""
    arrived = console.wait(lambda c: c.last, timeout, "report at the destination").sweeps
    if unchecked:
        return Verdict(None, unchecked)
    last = console.wait(lambda c: c.last if c.last.sweeps >= arrived + 2 else None, timeout,
                        "whole sweep at the destination")
    if last.done < before.done:
        return Verdict(max(last.wrong, 1), "the guest went back in time")
    if last.lost:
        return Verdict(max(last.wrong, 1), "generations do not add up to the writes done")
    return Verdict(last.wrong, f"last at {last.bad:#x}" if last.wrong else "")
