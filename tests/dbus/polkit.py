# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the daemon asks polkit, and what it makes of each kind of answer. polkit is fake here; the suite `service` has
the real one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from fake import DOMAIN, EASY, ENDLESS, MANAGER, ROOT, Fake, as_nobody
from gi.repository import GLib

from harness.case import Skip, check, run, same

ACTIONS = ("inspect", "migrate", "steer", "configure")
DENIED = "org.freedesktop.DBus.Error.AccessDenied"
ASK = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
LIST = f"{ROOT} {MANAGER} ListDomains (@a{{sv}} {{}},)"
MODE = f"{ROOT} {MANAGER} SetMode ('observe',)"
MIGRATE = f"{ROOT} {MANAGER} Migrate ('endless', 'unix:/there', {{'Deadline': <'none'>}})"
HANG = """
import sys, time
from gi.repository import Gio, GLib
bus = Gio.DBusConnection.new_for_address_sync(sys.argv[1], Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                                              | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
bus.call("org.migrationd1", "/org/migrationd1", "org.migrationd1.Manager", "SetMode", GLib.Variant("(s)", ("observe",)),
         None, Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION, -1, None, None)
bus.flush_sync()
print("asked", flush=True)
time.sleep(60)
"""

EVACUATE = """
import sys
from gi.repository import Gio, GLib
bus = Gio.DBusConnection.new_for_address_sync(sys.argv[1], Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                                              | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
try:
    bus.call_sync("org.migrationd1", "/org/migrationd1", "org.migrationd1.Manager", "Evacuate",
                  GLib.Variant("(sa{sv})", ("unix:/there", {})), None, 0, 30000, None)
except GLib.Error as e:
    print(e.message)
"""


class Polkit(Fake):
    """The bus is "the system bus" for the daemon. `rules`: answers for actions, "no" where none is given."""

    def __init__(self, present: bool = True, **rules: str):
        if os.geteuid() != 0:
            raise Skip("only root can become somebody else")
        super().__init__("--bus=system", environment={}, endless=ENDLESS)
        self._environment["DBUS_SYSTEM_BUS_ADDRESS"] = self.address
        self.rules = f"{self.directory}/rules.json"
        self.questions_file = f"{self.directory}/questions"
        self.present = present
        self.authority = None
        self.allow(**rules)

    def allow(self, **rules: str):
        """Of an action, or ACTION_DOMAIN."""
        words = dict.fromkeys(ACTIONS, "no") | rules
        Path(self.rules).write_text(
            json.dumps({f"org.migrationd1.{word}".replace("_", " "): answer for word, answer in words.items()}))

    def launch(self):
        if self.present:
            self.authority = subprocess.Popen(
                [sys.executable, "-B", str(Path(__file__).parent / "fake_polkit.py"), self.address, self.rules,
                 self.questions_file], stdin=subprocess.PIPE, text=True)
            self.wait(lambda: self.has_owner("org.freedesktop.PolicyKit1"), "the fake polkit")
        super().launch()

    def __exit__(self, *rest):
        if self.authority:
            self.authority.kill()
            self.authority.wait()
        super().__exit__(*rest)

    def has_owner(self, name: str) -> bool:
        return self.connection().call_sync("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "NameHasOwner",
                                           GLib.Variant("(s)", (name,)), None, 0, 5000, None).unpack()[0]

    def lines(self, kind: str) -> list[dict]:
        path = Path(self.questions_file)
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if kind in line]


def answers():
    with Polkit(inspect="yes", migrate="yes", steer="challenge") as bus:
        domain = bus.domains()["endless"]["Object"]
        same(as_nobody(bus, [LIST, MODE, f"{domain} {DOMAIN} MeasureDirtyRate (@a{{sv}} {{}},)", MIGRATE]),
             ["ok", DENIED, ASK, "ok"], "answers")
        same(bus.get(ROOT, MANAGER)["Mode"], "enforce", "mode")
        asked = [q["action"].removeprefix("org.migrationd1.") for q in bus.lines("action")]
        same(asked, ["inspect", "configure", "steer", "migrate"], "questions")


def subject_and_details():
    with Polkit(inspect="yes") as bus:
        domain = bus.domains()["endless"]
        own = bus.migrate("endless", Deadline="none")
        cancel = f"{own} org.migrationd1.Migration Cancel (@a{{sv}} {{}},)"
        by_uuid = MIGRATE.replace("'endless'", f"'{domain['Uuid']}'")
        same(as_nobody(bus, [MIGRATE, by_uuid, cancel, MODE]), [DENIED] * 4, "answers")
        questions = bus.lines("action")
        check(all(q["subject"][0] == "system-bus-name" and q["subject"][1]["name"].startswith(":")
                  for q in questions), f"{questions}")
        same([q["flags"] for q in questions], [0] * 4, "flags: nobody is asked for a password")
        known = {"domain": "endless", "domain-uuid": domain["Uuid"]}
        same([q["details"] for q in questions],
             [known | {"destination": "unix:/there"}] * 2
             + [known | {"migration": own.rsplit("/", 1)[1].replace("_", "-")}, {"mode": "observe"}], "details")


def an_evacuation_is_asked_about_for_each_guest():
    """What a rule denies for a guest cannot be had by evacuating it."""
    with Polkit(inspect="yes", migrate="yes", migrate_secret="no", migrate_web="challenge") as bus:
        for name in ("secret", "web"):
            bus.add(name, EASY)
            bus.wait(lambda: name in bus.domains(), f"domain {name}")
        same(as_nobody(bus, [f"{ROOT} {MANAGER} Evacuate ('unix:/there', {{'Deadline': <'none'>}})"]), ["ok"], "answer")
        same([q["details"].get("domain") for q in bus.lines("action")], [None, "endless", "secret", "web"], "questions")
        check(all(q["details"]["destination"] == "unix:/there" for q in bus.lines("action")), "details: destination")
        same([m["DomainName"] for m in bus.migrations()], ["endless"], "migrations")
        bus.allow(inspect="yes")
        same(as_nobody(bus, [f"{ROOT} {MANAGER} Evacuate ('unix:/there', @a{{sv}} {{}})"]), [DENIED], "answer")
        same(len(bus.lines("action")), 5, "questions: none about a guest without permission for the call")


def a_stopping_daemon_answers_an_evacuation():
    with Polkit(inspect="yes", migrate="yes", migrate_endless="hang") as bus:
        os.chmod(bus.directory, 0o711)
        client = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c",
                                   EVACUATE, bus.address], cwd="/", stdout=subprocess.PIPE, text=True)
        try:
            bus.wait(lambda: len(bus.lines("action")) == 2, "the questions")
            same(bus.stop_daemon(), 0, "status of the daemon")
            check("stopping" in client.communicate(timeout=30)[0], "the answer")
        finally:
            client.kill()
            client.wait()


def root_is_not_asked_about():
    with Polkit() as bus:
        bus.call(ROOT, MANAGER, "SetMode", "(s)", "observe")
        same(bus.lines("action"), [], "questions")


def looking_is_asked_once():
    """Not once a call: a client that polls must not make polkit work."""
    with Polkit(inspect="yes") as bus:
        same(as_nobody(bus, [LIST] * 5), ["ok"] * 5, "answers")
        same(len(bus.lines("action")), 1, "questions")
        same(as_nobody(bus, [LIST]), ["ok"], "another connection")
        same(len(bus.lines("action")), 2, "questions")


def no_answer_is_no():
    for answer, says in (("error", "the rules are broken"), ("garbage", "")):
        with Polkit(inspect="yes", configure=answer) as bus:
            same(as_nobody(bus, [MODE, LIST]), [DENIED, "ok"], f"answer {answer}")
            same(bus.get(ROOT, MANAGER)["Mode"], "enforce", f"mode after {answer} {says}")


def without_polkit_only_root():
    with Polkit(present=False) as bus:
        same(as_nobody(bus, [LIST, MODE, MIGRATE]), ["ok", DENIED, DENIED], "answers")
        bus.call(ROOT, MANAGER, "SetMode", "(s)", "observe")


def a_dialog_ends_with_its_caller():
    """A person may think for minutes: nothing else waits, and when the caller goes, the dialog is closed."""
    with Polkit(inspect="yes", configure="hang") as bus:
        os.chmod(bus.directory, 0o711)
        client = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c",
                                   HANG, bus.address], cwd="/", stdout=subprocess.PIPE, text=True)
        try:
            bus.wait(lambda: bus.lines("action"), "the question")
            same(bus.lines("action")[0]["flags"], 1, "flags: somebody may be asked")
            begin = time.monotonic()
            same(as_nobody(bus, [LIST]), ["ok"], "somebody else meanwhile")
            check(time.monotonic() - begin < 5, "it waited for the dialog")
            same(bus.lines("canceled"), [], "closed dialogs")
        finally:
            client.kill()
            client.wait()
        bus.wait(lambda: bus.lines("canceled"), "the dialog's end")
        same(bus.get(ROOT, MANAGER)["Mode"], "enforce", "mode")


def the_daemon_ends_with_a_dialog_open():
    with Polkit(inspect="yes", configure="hang") as bus:
        os.chmod(bus.directory, 0o711)
        client = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c",
                                   HANG, bus.address], cwd="/", stdout=subprocess.PIPE, text=True)
        try:
            bus.wait(lambda: bus.lines("action"), "the question")
            same(bus.stop_daemon(), 0, "exit status")
        finally:
            client.kill()
            client.wait()


run(answers, subject_and_details, an_evacuation_is_asked_about_for_each_guest, a_stopping_daemon_answers_an_evacuation,
    root_is_not_asked_about, looking_is_asked_once, no_answer_is_no, without_polkit_only_root,
    a_dialog_ends_with_its_caller, the_daemon_ends_with_a_dialog_open)
