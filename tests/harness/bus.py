# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private message bus with migrationd on it, and migrationctl to talk to it. Everything lives in one directory."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

from . import paths
from .process import spawn

NAME = "org.migrationd1"
NOT_FOUND = 3  # exit status of migrationctl
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


class CtlError(Exception):
    """migrationctl failed; `code` is its exit status."""

    def __init__(self, arguments, code: int, output: str):
        super().__init__(f"migrationctl {' '.join(arguments)}: exit status {code}: {output.strip()}")
        self.code = code


class Bus:
    """The bus and, once started, the daemon. The directories survive a restart of the daemon, as on a host. `within`
    goes before each command, e.g. to run it on a test host; `socket` is the bus's, if not one in our own directory."""

    def __init__(self, within: tuple[str, ...] = (), socket: str = ""):
        self.within = within
        self.directory = tempfile.mkdtemp(prefix="migd-bus-")
        self.qmp_dir = f"{self.directory}/qmp"
        self.state_dir = f"{self.directory}/state"
        self.config = f"{self.directory}/migrationd.conf"
        self.profile_dir = f"{self.directory}/profiles.d"
        self.log = f"{self.directory}/migrationd.log"
        self.socket = socket or f"{self.directory}/bus.sock"
        self.address = f"unix:path={self.socket}"
        self.daemon: subprocess.Popen | None = None
        self._bus: subprocess.Popen | None = None
        self._connection: Gio.DBusConnection | None = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        for path in (self.qmp_dir, self.state_dir, self.profile_dir):
            os.mkdir(path, 0o700)
        Path(self.config).write_text("")
        for profile in (paths.SOURCE / "conf/profiles.d").glob("*.conf"):
            shutil.copy(profile, self.profile_dir)
        config = Path(f"{self.directory}/bus.conf")
        config.write_text(BUS_CONFIG.format(socket=self.socket))
        self._bus = spawn(["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile"],
                          stderr=subprocess.DEVNULL)

    def __exit__(self, *_):
        self.stop_daemon()
        self._connection = None
        if self._bus:
            self._bus.terminate()
            self._bus.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def connection(self) -> Gio.DBusConnection:
        end = time.monotonic() + 10
        while not self._connection:
            try:
                self._connection = Gio.DBusConnection.new_for_address_sync(
                    self.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                    | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
                self._connection.set_exit_on_close(False)
            except GLib.Error:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        return self._connection

    def owned(self) -> bool:
        answer = self.connection().call_sync(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
            GLib.Variant("(s)", (NAME,)), GLib.VariantType("(b)"), Gio.DBusCallFlags.NONE, 5000, None)
        return answer.unpack()[0]

    def start_daemon(self, *arguments: str, environment: dict | None = None):
        """Starts migrationd and waits until it owns its name."""
        self.connection()
        # The machine's own libvirt is nobody's test object.
        if not any(a.startswith("--libvirt-uri=") for a in arguments):
            arguments = ("--libvirt-uri=none", *arguments)
        command = [*self.within, paths.migrationd(), f"--bus={self.address}", f"--qmp-dir={self.qmp_dir}",
                   f"--state-dir={self.state_dir}", f"--config={self.config}",
                   f"--profile-dir={self.profile_dir}", *arguments]
        env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
        with open(self.log, "ab") as log:
            self.daemon = spawn(command, stdout=log, stderr=log, env=env | (environment or {}))
        end = time.monotonic() + 10
        while not self.owned():
            if self.daemon.poll() is not None or time.monotonic() > end:
                self.stop_daemon()
                raise RuntimeError(f"migrationd did not start: {self.log_text()}")
            time.sleep(0.02)

    @contextlib.contextmanager
    def stopped_bus(self):
        """It neither reads nor writes."""
        self._bus.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._bus.send_signal(signal.SIGCONT)

    def kill_daemon(self):
        """As a crash would."""
        self.daemon.kill()
        self.daemon.wait()

    def stop_daemon(self) -> int | None:
        """Ends it the polite way; its exit status."""
        if not self.daemon:
            return None
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(10)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
        return self.daemon.wait()

    def log_text(self) -> str:
        return Path(self.log).read_text(errors="replace")

    def max_downtime_ms(self, profile: str = "default") -> int:
        """MaxDowntime of a shipped profile."""
        text = Path(f"{self.profile_dir}/{profile}.conf").read_text()
        number, unit = re.search(r"^MaxDowntime=(\d+)(ms|s)$", text, re.MULTILINE).groups()
        return int(number) * (1000 if unit == "s" else 1)

    def trace(self, migration: str) -> str:
        return f"{self.state_dir}/traces/{migration}.jsonl"

    def _ctl(self, arguments: tuple[str, ...]) -> list[str]:
        return [*self.within, paths.migrationctl(), f"--bus={self.address}", *arguments]

    def popen(self, *arguments: str, **options) -> subprocess.Popen:
        return subprocess.Popen(self._ctl(arguments), **options)

    def text(self, *arguments: str, timeout: float = 120) -> str:
        """What migrationctl prints. Raises CtlError when it fails."""
        done = subprocess.run(self._ctl(arguments), text=True, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=timeout, check=False)
        if done.returncode:
            raise CtlError(arguments, done.returncode, done.stderr or done.stdout)
        return done.stdout

    def json(self, *arguments: str, timeout: float = 120):
        return json.loads(self.text("--json=short", *arguments, timeout=timeout))

    def status(self, what: str) -> dict:
        return self.json("status", what)

    def wait_domain(self, name: str, timeout: float = 10, known: bool = False) -> dict:
        """Waits until migrationd has found the QEMU of that name; `known`: and has asked about it."""
        return self._wait(lambda: next((d for d in self.json("list") if d["Name"] == name
                                        and not (known and d["State"] == "connecting")), None),
                          timeout, f"domain {name}")

    def wait_migration(self, name: str, timeout: float = 10) -> str:
        """Waits until migrationd watches a migration of the domain; the migration's id."""
        def look():
            domain = next((d for d in self.json("list") if d["Name"] == name), {})
            return domain.get("Migration", "").rstrip("/").rsplit("/", 1)[-1].replace("_", "-")
        return self._wait(look, timeout, f"migration of {name}")

    def wait_finished(self, migration: str, timeout: float = 60) -> dict:
        def look():
            try:
                status = self.status(migration)
            except CtlError as e:
                if e.code == NOT_FOUND:
                    return None  # a daemon that has just started takes it up in a moment
                raise
            return status if status["State"] == "finished" else None
        return self._wait(look, timeout, f"end of migration {migration}")

    def _wait(self, look, timeout: float, what: str):
        end = time.monotonic() + timeout
        while not (found := look()):
            if time.monotonic() > end:
                raise TimeoutError(f"{what} not seen in {timeout:.0f} s; log: {self.log_text()[-2000:]}")
            time.sleep(0.1)
        return found
