# SPDX-License-Identifier: LGPL-2.1-or-later
"""Configuration of a running daemon: read again as a whole or not at all, and refused with file, line and key."""

import os
import signal
import subprocess
from pathlib import Path

from fake import DOMAIN, EASY, ERROR, MANAGER, ROOT, Fake, refused
from service_socket import NotifySocket

from harness import paths
from harness.case import check, run, same


def reload_takes_the_new():
    with Fake(easy=EASY) as bus:
        path = bus.domains()["easy"]["Object"]
        Path(bus.config).write_text("[Daemon]\nMode=observe\n")
        Path(f"{bus.profile_dir}/ours.conf").write_text("[Profile]\nMaxDowntime=50ms\n[Match]\nName=ea*\n")
        bus.call(ROOT, MANAGER, "Reload")
        manager = bus.get(ROOT, MANAGER)
        same((manager["Mode"], "ours" in manager["Profiles"]), ("observe", True), "mode and profiles")
        domain = bus.wait(lambda: (d := bus.get(path, DOMAIN))["Profile"] == "ours" and d, "the domain's profile")
        same(domain["ProfileSource"], "match", "source of the profile")


def reload_of_garbage_keeps_the_old():
    notify = NotifySocket()
    with notify, Fake(easy=EASY, environment={"NOTIFY_SOCKET": notify.path}) as bus:
        before = bus.get(ROOT, MANAGER)
        Path(bus.config).write_text("[Daemon]\nDefaultProfile=gentle\nMode=sideways\n")
        refused(ERROR + "InvalidArgument", bus.config + ":3", "[Daemon] Mode", "enforce, observe",
                reload=lambda: bus.call(ROOT, MANAGER, "Reload"))
        same(bus.get(ROOT, MANAGER), before, "properties of the manager")
        same(bus.domains()["easy"]["Profile"], "default", "profile of the domain")
        notify.wait("STATUS=configuration refused: " + bus.config)
        check("the old one stays in force" in bus.log_text(), "nothing in the journal")

        Path(bus.config).write_text("")
        profile = f"{bus.profile_dir}/gentle.conf"
        Path(profile).write_text("[Profile]\nMaxThrottle=lots\n")
        refused(ERROR + "InvalidArgument", profile + ":2", "MaxThrottle",
                reload=lambda: bus.call(ROOT, MANAGER, "Reload"))
        os.unlink(profile)
        bus.call(ROOT, MANAGER, "Reload")
        notify.wait("STATUS=0 migrations, 1 domain")
        check("gentle" not in bus.get(ROOT, MANAGER)["Profiles"], "a profile that is gone")


def sighup_is_reload():
    with Fake(easy=EASY) as bus:
        Path(bus.config).write_text("[Daemon]\nMode=observe\n")
        bus.daemon.send_signal(signal.SIGHUP)
        bus.wait(lambda: bus.get(ROOT, MANAGER)["Mode"] == "observe", "the new mode")
        Path(bus.config).write_text("[Daemon]\nMode=off\n")
        bus.daemon.send_signal(signal.SIGHUP)
        bus.wait(lambda: "configuration refused" in bus.log_text(), "the refusal")
        same(bus.get(ROOT, MANAGER)["Mode"], "observe", "mode")


def a_running_migration_keeps_its_profile():
    with Fake(easy=EASY) as bus:
        path = bus.migrate("easy", profile="gentle")
        os.unlink(f"{bus.profile_dir}/gentle.conf")
        bus.call(ROOT, MANAGER, "Reload")
        same(bus.get(path)["Profile"], "gentle", "profile")
        same(bus.wait_end(path)[0], "succeeded", "result")


def start_with_garbage():
    """Exit status 78, one line that says where and what, also to systemd."""
    with Fake(easy=EASY) as bus, NotifySocket() as notify:
        Path(bus.config).write_text("# x\n[Qmp]\nCommandTimeout=5\n")
        done = subprocess.run(
            [paths.migrationd(), f"--bus={bus.address}", f"--config={bus.config}", f"--state-dir={bus.state_dir}"],
            text=True, capture_output=True, timeout=10, check=False, env=os.environ | {"NOTIFY_SOCKET": notify.path})
        same(done.returncode, 78, "exit status")
        check(done.stderr.count("\n") == 1 and f"{bus.config}:3: [Qmp] CommandTimeout" in done.stderr, done.stderr)
        notify.wait(f"STATUS={bus.config}:3")
        check(not notify.heard("READY=1"), "ready all the same")


def wrong_options():
    for arguments in (["--backend=xen"], ["--mode=off"], ["--nonsense"], ["surplus"], ["--backend=fake"]):
        done = subprocess.run([paths.migrationd(), "--config=/dev/null", *arguments], text=True, capture_output=True,
                              timeout=10, check=False)
        same((done.returncode, done.stderr.count("\n")), (78, 1), f"exit status and lines of {arguments}")
    done = subprocess.run([paths.migrationd(), "--version"], text=True, capture_output=True, timeout=10, check=False)
    check(done.returncode == 0 and done.stdout.startswith("migrationd 0."), done.stdout)


run(reload_takes_the_new, reload_of_garbage_keeps_the_old, sighup_is_reload, a_running_migration_keeps_its_profile,
    start_with_garbage, wrong_options)
