# SPDX-License-Identifier: LGPL-2.1-or-later
"""migrationd with the fake backend on a private bus, driven by plain D-Bus calls."""

import os
import subprocess
import time
from pathlib import Path

from gi.repository import Gio, GLib

from harness.bus import NAME, Bus
from harness.case import check

ROOT = "/org/migrationd1"
MANAGER = "org.migrationd1.Manager"
DOMAIN = "org.migrationd1.Domain"
MIGRATION = "org.migrationd1.Migration"
LOG_CONTROL = "org.freedesktop.LogControl1"
LOG_CONTROL_PATH = "/org/freedesktop/LogControl1"
PROPERTIES = "org.freedesktop.DBus.Properties"
ERROR = "org.migrationd1.Error."

# Ends by itself in a second; never ends by itself; never ends at all inside the limits of `gentle`.
EASY = "memory=16MiB dirty-rate=1MB/s working-set=4MiB bandwidth=40MB/s"
PLATEAU = "memory=32MiB dirty-rate=300MB/s working-set=30MiB bandwidth=40MB/s"
ENDLESS = "memory=64MiB dirty-rate=200MB/s working-set=60MiB bandwidth=20MB/s postcopy=yes"


class Refused(Exception):
    """A D-Bus error: its `name` and message."""

    def __init__(self, error: GLib.Error):
        self.name = Gio.DBusError.get_remote_error(error) or ""
        Gio.DBusError.strip_remote_error(error)
        super().__init__(f"{self.name}: {error.message}")


class Signal:
    def __init__(self, path: str, interface: str, name: str, values: tuple):
        self.path, self.interface, self.name, self.values = path, interface, name, values


def scenario(name: str, text: str) -> str:
    """A *.scenario file of one line of KEY=VALUE."""
    words = text.split()
    link = [w for w in words if w.startswith("bandwidth")]
    guest = [w for w in words if w not in link]
    return "\n".join(["[scenario]", f"name={name}", "[guest]", *guest, "[link]", *link, ""])


class Fake(Bus):
    def __init__(self, *arguments: str, environment: dict | None = None, **domains: str):
        super().__init__()
        self.fake_dir = f"{self.directory}/fake"
        self.signals: list[Signal] = []
        self._arguments = arguments
        self._environment = environment
        self._domains = domains

    def __enter__(self):
        super().__enter__()
        try:
            os.mkdir(self.fake_dir)
            for name, text in self._domains.items():
                self.add(name, text)
            self.connection().signal_subscribe(NAME, None, None, None, None, Gio.DBusSignalFlags.NONE, self._note)
            self.launch()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, kind=None, *rest):
        """Every test also tests that the daemon ends well, with nothing lost (under LeakSanitizer)."""
        lives = self.daemon is not None and self.daemon.poll() is None
        status = self.stop_daemon() if lives else 0
        log = self.log_text() if status else ""
        super().__exit__(kind, *rest)
        check(kind is not None or status == 0, f"the daemon ended with status {status}: {log[-4000:]}")

    def launch(self):
        self.start_daemon("--backend=fake", f"--fake-dir={self.fake_dir}", *self._arguments,
                          environment=self._environment)

    def add(self, name: str, text: str):
        Path(f"{self.fake_dir}/{name}.scenario").write_text(scenario(name, text))

    def remove(self, name: str):
        os.unlink(f"{self.fake_dir}/{name}.scenario")

    def do(self, name: str, *commands: str):
        """Somebody else's hand on the hypervisor of `name`."""
        temporary = Path(f"{self.fake_dir}/.{name}.new")
        temporary.write_text("\n".join(commands) + "\n")
        temporary.rename(f"{self.fake_dir}/{name}.do")
        self.wait(lambda: not os.path.exists(f"{self.fake_dir}/{name}.do"), f"commands for {name}")

    def _note(self, _connection, _sender, path, interface, name, parameters):
        self.signals.append(Signal(path, interface, name, parameters.unpack()))

    def call(self, path: str, interface: str, method: str, signature: str = "()", *values):
        try:
            answer = self.connection().call_sync(NAME, path, interface, method, GLib.Variant(signature, values), None,
                                                 Gio.DBusCallFlags.NONE, 10000, None)
        except GLib.Error as e:
            raise Refused(e) from None
        return answer.unpack()

    def migrate(self, domain: str, destination: str = "unix:/there", **options) -> str:
        """The object path of the new migration. Options are strings or booleans."""
        values = {k: GLib.Variant("b" if isinstance(v, bool) else "s", v) for k, v in options.items()}
        return self.call(ROOT, MANAGER, "Migrate", "(ssa{sv})", domain, destination, values)[0]

    def domains(self) -> dict[str, dict]:
        return {d["Name"]: d for d in self.call(ROOT, MANAGER, "ListDomains", "(a{sv})", {})[0]}

    def migrations(self, **options) -> list[dict]:
        values = {k: GLib.Variant("b" if isinstance(v, bool) else "s", v) for k, v in options.items()}
        return self.call(ROOT, MANAGER, "ListMigrations", "(a{sv})", values)[0]

    def get(self, path: str, interface: str = MIGRATION) -> dict:
        return self.call(path, PROPERTIES, "GetAll", "(s)", interface)[0]

    def wait(self, look, what: str, timeout: float = 15):
        """Runs the main loop, so that signals come in, until `look()` is true; returns it."""
        end = time.monotonic() + timeout
        while not (found := look()):
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not seen in {timeout:.0f} s; log: {self.log_text()[-2000:]}")
            GLib.MainContext.default().iteration(False) or time.sleep(0.005)
        return found

    def heard(self, name: str, path: str | None = None) -> list[Signal]:
        return [s for s in self.signals if s.name == name and path in (None, s.path)]

    def wait_signal(self, name: str, path: str | None = None, number: int = 1) -> Signal:
        return self.wait(lambda: (self.heard(name, path) + [None] * number)[number - 1], f"signal {name} of {path}")

    def wait_end(self, path: str) -> tuple[str, dict]:
        """Result and report."""
        return self.wait_signal("Finished", path).values

    def wait_external(self) -> str:
        """The object path of the first migration that somebody else has started."""
        return self.wait(lambda: next((m["Object"] for m in self.migrations() if m["Origin"] == "external"), None),
                         "somebody else's migration")


def refused(name: str, *says: str, **what):
    """The call `what` (one keyword: a function) fails with that error, saying all of `says`."""
    ((label, function),) = what.items()
    try:
        function()
    except Refused as e:
        check(e.name == name, f"{label}: {e}, wanted {name}")
        for text in says:
            check(text in str(e), f"{label}: {e} does not say {text!r}")
        return
    raise AssertionError(f"{label} was not refused")


NOBODY = """
import sys
from gi.repository import Gio, GLib
bus = Gio.DBusConnection.new_for_address_sync(sys.argv[1], Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                                              | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
for line in sys.stdin.read().splitlines():
    path, interface, method, arguments = line.split(" ", 3)
    try:
        bus.call_sync("org.migrationd1", path, interface, method,
                      GLib.Variant.parse(None, arguments, None, None) if arguments != "()" else None,
                      None, Gio.DBusCallFlags.NONE, 10000, None)
        print("ok")
    except GLib.Error as e:
        print(Gio.DBusError.get_remote_error(e))
"""


def as_nobody(bus: Fake, calls: list[str]) -> list[str]:
    """Makes `calls` ("PATH INTERFACE METHOD ARGUMENTS") as the user nobody: "ok" or the error's name, each."""
    os.chmod(bus.directory, 0o711)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c",
                           NOBODY, bus.address], input="\n".join(calls), text=True, capture_output=True, timeout=60,
                          cwd="/", check=False)
    check(done.returncode == 0, f"client as nobody: {done.stderr}")
    return done.stdout.splitlines()
