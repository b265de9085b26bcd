# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of the package on a host, from the installation to the purge, under a real systemd, with the real polkit and
two real libvirts. The tests follow each other: each finds the host as the one before left it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from harness import package
from harness.case import Skip, check, run, same
from harness.domain import Domain
from harness.pair import accelerator
from harness.tree import Tree

PLATEAU = "ws=64 rate=90"
# Writes as fast as it can: with next to no processor time it still writes more than is sent.
BUSY = "ws=64 rate=4000"
CONVERGING = "ws=64 rate=15 touch=32"
CONF = "/etc/migrationd/migrationd.conf.d/50-test.conf"
MONITOR_CONF = "/etc/migrationd/migrationd.conf.d/10-monitor.conf"
DENIED = 4  # exit status of migrationctl

tree = Tree()
state: dict = {}


def files() -> set[str]:
    """All that is there, but for what belongs to the running system."""
    system = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/var/cache", "/var/lib/dpkg",
              "/var/lib/libvirt", "/var/lib/systemd")
    pruned = [word for path in system for word in ("-path", path, "-prune", "-o")]
    users = [f"user {line.split(':')[0]}" for line in tree.run("getent", "passwd").splitlines()]
    return set(tree.run("find", "/", "-xdev", *pruned, "-print").splitlines()) | set(users)


def ctl(*arguments: str, user: str = "") -> subprocess.CompletedProcess:
    return tree.start("migrationctl", *arguments, user=user)


def seen(*arguments: str):
    return json.loads(tree.run("migrationctl", "--json=short", *arguments))


def domain_of(name: str) -> dict:
    return tree.wait(lambda: next((d for d in seen("list") if d["Name"] == name), None), f"domain {name}")


def main_pid() -> int:
    return int(tree.show("MainPID")["MainPID"])


def wait_active(before: int = 0):
    tree.wait(lambda: tree.show("ActiveState")["ActiveState"] == "active" and main_pid() != before, "an active unit")


def migrate(domain: Domain, *options: str) -> subprocess.Popen:
    """By virsh, behind migrationd's back."""
    socket = f"{tree.shared}/{domain.name}.stream"
    Path(socket).unlink(missing_ok=True)
    return domain.migrate(*options, "--migrateuri", f"unix://{socket}")


def migration_of(name: str) -> dict:
    """The running or newest one; waits until there is one."""
    def look():
        path = domain_of(name)["Migration"]
        return next((m for m in seen("status") if m["Object"] == path), None)
    return tree.wait(look, f"a migration of {name}")


def arrived(domain: Domain, process: subprocess.Popen):
    output, _ = process.communicate(timeout=120)
    same((process.returncode, output), (0, ""), "virsh")
    domain.arrive()
    verdict = domain.verify()
    print(f"# {domain.name}: wrong pages {verdict}")
    if verdict.wrong is None:
        raise Skip(f"/dev/kvm does not open: {verdict.reason}")
    same(verdict.wrong, 0, f"wrong pages ({verdict.reason})")


def guest(name: str, append: str) -> Domain:
    """It runs, and migrationd knows it."""
    domain = Domain(tree, name, append)
    domain.start(tree.a)
    tree.wait(lambda: domain_of(name)["State"] == "running", f"{name} running")
    return domain


def under_way(domain: Domain) -> tuple[subprocess.Popen, str]:
    """A migration that has done two passes, and that neither QEMU nor migrationd ends; its id."""
    tree.write(CONF, "[Daemon]\nMode=observe\n")
    tree.run("systemctl", "reload", "migrationd")
    tree.wait(lambda: tree.run("migrationctl", "mode") == "observe\n", "the new mode")
    tree.a.virsh("migrate-setmaxdowntime", domain.name, "1")
    process = migrate(domain)
    found = tree.wait(lambda: (m := migration_of(domain.name))["Pass"] >= 2 and m, "the second pass")
    tree.a.virsh("migrate-setspeed", domain.name, "1")  # MiB/s: now it takes longer than anything here
    return process, found["Id"]


def taken_up(before: int, domain: Domain, process: subprocess.Popen, migration: str):
    """A new daemon goes on with it. Then a pause that is long enough ends it."""
    wait_active(before)
    tree.wait(lambda: "921e6a3bbcdb4b40a808f0c5a4ffadd8" in tree.run(
        "journalctl", "--output=json", f"MIGRATION_ID={migration}"), "its taking up")
    same(migration_of(domain.name)["Id"], migration, "the migration after the restart")
    tree.a.virsh("migrate-setspeed", domain.name, "1000")
    tree.a.virsh("migrate-setmaxdowntime", domain.name, "10000")
    arrived(domain, process)
    tree.run("rm", CONF)
    tree.run("systemctl", "reload", "migrationd")
    domain.close()


def installing_starts_nothing():
    state["before"] = files()
    tree.run("dpkg", "--install", f"{tree.shared}/migrationd.deb")
    same(tree.show("ActiveState", "UnitFileState"), {"ActiveState": "inactive", "UnitFileState": "disabled"}, "unit")
    done = ctl("list")
    same((done.returncode, done.stderr), (5, "migrationctl: migrationd is not running (not on this bus)\n"),
         "migrationctl list, with nobody there")
    same(tree.show("ActiveState")["ActiveState"], "inactive", "unit after somebody asked for it")


def one_command_starts_it():
    done = tree.start("systemctl", "enable", "--now", "migrationd")
    same(done.returncode, 0, f"systemctl enable --now: {done.stderr}")
    wait_active()
    same(tree.run("migrationctl", "mode"), "enforce\n", "mode")
    tree.wait(lambda: "connected to libvirt" in tree.journal(), "libvirt")


def the_sandbox_is_on():
    pid = main_pid()
    status = tree.run("cat", f"/proc/{pid}/status")
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        check(line in status, f"{line!r} is not in /proc/PID/status")
    user = tree.run("id", "-u", "migrationd").strip()
    check(f"Uid:\t{user}\t{user}\t{user}\t{user}" in status, f"not user {user}: {status}")
    level = re.search(r"exposure level for migrationd.service: ([\d.]+)",
                      tree.run("systemd-analyze", "security", "--no-pager", "migrationd"))
    print(f"# exposure {level[1]}")
    check(float(level[1]) <= 1.0, f"exposure {level[1]}")
    inside = tree.run("nsenter", f"--target={pid}", "--mount", "--", "cat", "/proc/self/mountinfo")
    check(re.search(r" / / ro[, ]", inside), "the root is not read-only")
    same(tree.run("nsenter", f"--target={pid}", "--mount", "--", "find", "/dev", "-name", "kvm").split(),
         ["/dev/kvm"] if accelerator() == "kvm" else [], "/dev/kvm inside")


def it_asks_the_kvm_of_the_host():
    """Through the sandbox; and says in plain words that it could not, where an administrator has closed that way."""
    if accelerator() != "kvm":
        raise Skip("/dev/kvm does not open: there is no KVM to be asked")

    def host() -> dict:
        return json.loads(tree.run("busctl", "--json=short", "get-property", "org.migrationd1", "/org/migrationd1",
                                   "org.migrationd1.Manager", "HostWriteProtect"))["data"]
    found = host()
    same((found["Known"]["data"], found["Problem"]["data"]), (True, ""), "what it knows of KVM")
    tree.write("/run/systemd/system/migrationd.service.d/test.conf", "[Service]\nBindPaths=\nDeviceAllow=\n")
    tree.run("systemctl", "daemon-reload")
    tree.run("systemctl", "restart", "migrationd")
    found = host()
    same(found["Known"]["data"], False, "what it knows of KVM without the device")
    check(found["Problem"]["data"].startswith("/dev/kvm: "), f"problem: {found['Problem']}")
    tree.run("rm", "-r", "/run/systemd/system/migrationd.service.d")
    tree.run("systemctl", "daemon-reload")
    tree.run("systemctl", "restart", "migrationd")


def a_migration_of_virsh_is_seen_and_steered():
    tree.write(MONITOR_CONF, "[Libvirt]\nAllowMonitorCommands=yes\n")
    tree.run("systemctl", "restart", "migrationd")
    domain = guest("web", PLATEAU)
    tree.run("migrationctl", "set-profile", "web", "low-downtime")
    process = migrate(domain, "--auto-converge")  # so that a throttle is possible
    found = migration_of("web")
    same((found["Origin"], found["Profile"]), ("external", "low-downtime"), "origin and profile")
    arrived(domain, process)
    # The domain has left; its migration is shown for some minutes.
    end = tree.wait(lambda: next((m for m in seen("status") if m["Id"] == found["Id"] and m["Result"]), None),
                    "its end")
    same(end["Result"], "succeeded", "result")
    check("throttle" in tree.run("migrationctl", "explain", found["Id"]), "explain does not say what was done")
    trace = tree.run("cat", f"/var/lib/migrationd/traces/{found['Id']}.jsonl")
    done = [json.loads(line)["kind"] for line in trace.splitlines()]
    check("action" in done and "outcome" in done, f"nothing was done: {sorted(set(done))}")
    state["migration"] = found["Id"]
    domain.close()


def the_journal_tells_the_story():
    fields = [json.loads(line) for line in tree.run(
        "journalctl", "--output=json", f"MIGRATION_ID={state['migration']}").splitlines()]
    ids = [line.get("MESSAGE_ID") for line in fields]
    for name, number in (("start", "a854d0cf006a48c5a2bc438212e78491"),
                         ("decision", "a8fd2c1ebba94058a0e8d4753ae985a7"),
                         ("finish", "30681bae29bd48fd9a761dee90866afc")):
        check(number in ids, f"no entry of the {name}: {ids}")
    explained = tree.run("journalctl", "--catalog", "--no-pager", f"MIGRATION_ID={state['migration']}")
    check("Live migration of web has begun" in explained, "the catalog does not explain it")
    tree.run("systemctl", "service-log-level", "migrationd", "debug")
    same(tree.run("systemctl", "service-log-level", "migrationd"), "debug\n", "level of the log")
    tree.run("systemctl", "service-log-level", "migrationd", "info")


def a_killed_daemon_takes_it_up_again():
    domain = guest("killed", BUSY)
    process, migration = under_way(domain)
    before = main_pid()
    tree.run("systemctl", "kill", "--signal=SIGKILL", "migrationd")
    taken_up(before, domain, process, migration)


def reload_and_wrong_configurations():
    tree.write(CONF, "[Daemon]\nMode=observe\n")
    tree.run("systemctl", "reload", "migrationd")
    tree.wait(lambda: tree.run("migrationctl", "mode") == "observe\n", "the new mode")
    tree.write(CONF, "[Daemon]\n# nothing of the kind\nMode=sideways\n")
    tree.run("systemctl", "reload", "migrationd", check=False)
    tree.wait(lambda: "configuration refused" in tree.show("StatusText")["StatusText"], "the refusal")
    text = tree.show("StatusText")["StatusText"]
    check(f"{CONF}:3: [Daemon] Mode" in text and "enforce, observe" in text, text)
    same(tree.run("migrationctl", "mode"), "observe\n", "mode, of the old configuration")
    before = int(tree.show("NRestarts")["NRestarts"])
    check(not tree.ok("systemctl", "restart", "migrationd"), "it starts with a wrong configuration")
    shown = tree.show("ExecMainStatus", "StatusText", "NRestarts", "ActiveState")
    same((shown["ExecMainStatus"], shown["ActiveState"]), ("78", "failed"), "exit status and state")
    check(f"{CONF}:3: [Daemon] Mode" in shown["StatusText"], f"status: {shown['StatusText']}")
    same(int(shown["NRestarts"]), before if before == 0 else int(shown["NRestarts"]), "restarts")
    tree.run("rm", CONF)
    tree.run("systemctl", "restart", "migrationd")
    same(tree.run("migrationctl", "mode"), "enforce\n", "mode")


def the_watchdog_bites():
    tree.write("/run/systemd/system/migrationd.service.d/test.conf", "[Service]\nWatchdogSec=2s\n")
    tree.run("systemctl", "daemon-reload")
    tree.run("systemctl", "restart", "migrationd")
    before = main_pid()
    tree.run("systemctl", "kill", "--signal=SIGSTOP", "migrationd")
    tree.wait(lambda: "Watchdog timeout" in tree.run("journalctl", "--unit=migrationd", "--output=cat"), "the watchdog")
    wait_active(before)
    check(tree.ok("migrationctl", "list"), "the new one does not answer")
    tree.run("rm", "-r", "/run/systemd/system/migrationd.service.d")
    tree.run("systemctl", "daemon-reload")


def others_may_look_and_no_more():
    """The real polkit, with its defaults: nobody can type a password here."""
    tree.run("useradd", "--no-create-home", "alice")
    same(ctl("list", user="alice").returncode, 0, "alice: list")
    for arguments in (("mode", "observe"), ("reload",), ("migrate", "web", "qemu+unix:///system"),
                      ("set-limits", "web", "Deadline=1s")):
        done = ctl(*arguments, user="alice")
        check(done.returncode in (DENIED, 3), f"alice: {arguments}: {done.returncode} {done.stderr}")
    same(ctl("mode", "observe", user="alice").returncode, DENIED, "alice: mode")
    check(not tree.ok("busctl", "set-property", "org.migrationd1", "/org/freedesktop/LogControl1",
                      "org.freedesktop.LogControl1", "LogLevel", "s", "debug", user="alice"),
          "alice sets the log level")
    same(tree.run("migrationctl", "mode"), "enforce\n", "mode")


def a_rule_grants_what_it_says():
    """The example that is shipped: operators may migrate to 10.1.*, but no prod-* guest."""
    rules = (package.paths.SOURCE / "docs/examples/50-migrationd-operators.rules").read_text()
    tree.write("/etc/polkit-1/rules.d/50-migrationd-operators.rules", rules)
    tree.run("groupadd", "operators")
    tree.run("useradd", "--no-create-home", "--groups=operators", "bob")
    domains = [guest("dev-1", CONVERGING), guest("prod-1", CONVERGING)]

    def answer(domain: str, destination: str) -> int:
        return ctl("migrate", domain, destination, user="bob").returncode
    tree.wait(lambda: answer("dev-1", "qemu+tls://10.1.0.9/system") != DENIED, "the rule")
    same(answer("prod-1", "qemu+tls://10.1.0.9/system"), DENIED, "bob: a prod guest")
    same(answer("dev-1", "qemu+tls://10.2.0.9/system"), DENIED, "bob: another network")
    same(ctl("mode", "observe", user="bob").returncode, DENIED, "bob: mode")
    same(ctl("migrate", "dev-1", "qemu+tls://10.1.0.9/system", user="alice").returncode, DENIED, "alice: migrate")
    for domain in domains:
        domain.close()
    tree.run("rm", "/etc/polkit-1/rules.d/50-migrationd-operators.rules")


def an_upgrade_does_not_disturb_a_migration():
    newer = package.newer(Path(tree.shared) / "migrationd.deb", Path(tree.shared))
    domain = guest("upgraded", BUSY)
    process, migration = under_way(domain)
    before = main_pid()
    tree.run("dpkg", "--install", str(newer))
    check("+newer" in tree.run("dpkg-query", "--show", "migrationd"), "not upgraded")
    taken_up(before, domain, process, migration)


def removing_stops_it_and_purging_leaves_nothing():
    tree.run("userdel", "alice")
    tree.run("userdel", "bob")
    tree.run("groupdel", "operators")
    tree.run("dpkg", "--remove", "migrationd")
    same(tree.show("ActiveState")["ActiveState"], "inactive", "unit")
    check(tree.ok("test", "-d", "/var/lib/migrationd/traces"), "traces are gone before the purge")
    tree.run("dpkg", "--purge", "migrationd")
    left = files() - state["before"] - {"/etc/subuid-", "/etc/subgid-", "/etc/passwd-", "/etc/group-", "/etc/gshadow-",
                                        "/etc/shadow-"}
    same(sorted(left), [], "left behind")
    check(not tree.ok("test", "-e", "/run/migrationd"), "/run/migrationd is left behind")


def main():
    if os.geteuid() != 0:
        print("1..0 # SKIP only root can boot a tree")
        sys.exit(0)
    deb = package.package(package.build())
    with tree:
        Path(f"{tree.shared}/migrationd.deb").write_bytes(deb.read_bytes())
        tree.start_second_libvirtd()
        run(installing_starts_nothing, one_command_starts_it, the_sandbox_is_on, it_asks_the_kvm_of_the_host,
            a_migration_of_virsh_is_seen_and_steered, the_journal_tells_the_story, a_killed_daemon_takes_it_up_again,
            reload_and_wrong_configurations, the_watchdog_bites, others_may_look_and_no_more,
            a_rule_grants_what_it_says, an_upgrade_does_not_disturb_a_migration,
            removing_stops_it_and_purging_leaves_nothing)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
main()
