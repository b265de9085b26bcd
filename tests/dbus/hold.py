# SPDX-License-Identifier: LGPL-2.1-or-later
"""migrationctl hold: a lease for as long as a command runs, or until it is interrupted; and what happens to it when the
daemon, the command or migrationctl itself ends."""

import json
import signal
import subprocess
import sys

from fake import ENDLESS, ERROR, Fake, refused

from harness.case import check, run, same

# Says that it runs, and ends at its next line of input with the status that is in there.
COMMAND = [sys.executable, "-c", "import sys; print('runs', flush=True); sys.exit(int(sys.stdin.readline()))"]


class Holder:
    """migrationctl hold, as a process."""

    def __init__(self, bus: Fake, *arguments: str):
        self.bus = bus
        self.process = bus.popen(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True)

    def __enter__(self):
        return self

    def line(self) -> str:
        return self.process.stdout.readline()

    def end(self, line: str = "") -> tuple[int, str]:
        """Exit status, and what it has said to people."""
        _, said = self.process.communicate(line, timeout=30)
        return self.process.returncode, said

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def holds(bus: Fake) -> list[tuple]:
    return bus.domains()["endless"]["Holds"]


def ends(bus: Fake):
    bus.wait(lambda: holds(bus) == [], "the end of the lease")


def it_lasts_as_long_as_the_command():
    with Fake(endless=ENDLESS) as bus:
        with Holder(bus, "hold", "endless", "--why=a snapshot", "--", *COMMAND) as holder:
            same(holder.line(), "runs\n", "the command")
            same(holds(bus), [("migrate", " ".join(COMMAND), "a snapshot")], "leases")
            refused(ERROR + "Held", "a snapshot", migrate=lambda: bus.migrate("endless"))
            same(holder.end("7\n"), (7, ""), "exit status: the command's")
        ends(bus)
        bus.migrate("endless")


def without_a_command_until_it_is_interrupted():
    with Fake(endless=ENDLESS) as bus:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with Holder(bus, "hold", "endless", "--what=migrate:steer", "--who=me") as holder:
                same(holder.line(), "endless: held (migrate:steer) until interrupted\n", "what it says")
                same(holds(bus), [("migrate:steer", "me", "no reason given")], "leases")
                holder.process.send_signal(number)
                same(holder.end(), (0, ""), f"exit status after {number.name}")
            ends(bus)
        with Holder(bus, "--json=short", "hold", bus.domains()["endless"]["Uuid"]) as holder:
            same(json.loads(holder.line()), {"Uuid": bus.domains()["endless"]["Uuid"], "What": "migrate"}, "JSON")


def a_killed_one_holds_nothing():
    with Fake(endless=ENDLESS) as bus:
        with Holder(bus, "hold", "endless", "--", *COMMAND) as holder:
            same(holder.line(), "runs\n", "the command")
            holder.process.kill()
            ends(bus)  # though the command still runs: it has no copy of the lease
            holder.end("0\n")


def the_end_of_the_command_by_a_signal():
    with Fake(endless=ENDLESS) as bus:
        with Holder(bus, "hold", "endless", "--", *COMMAND) as holder:
            same(holder.line(), "runs\n", "the command")
            holder.process.terminate()
            # Its input stays open: the signal is what ends the command.
            same(holder.process.wait(timeout=30), 128 + signal.SIGTERM, "exit status: SIGTERM goes on to the command")
            same(holder.process.stderr.read(), "", "what it says")
        ends(bus)


def the_lease_comes_back_with_the_daemon():
    with Fake(endless=ENDLESS) as bus:
        with Holder(bus, "hold", "endless", "--", *COMMAND) as holder:
            same(holder.line(), "runs\n", "the command")
            bus.stop_daemon()
            check("the lease is lost" in holder.process.stderr.readline(), "it does not say that the lease is lost")
            bus.launch()
            same(holder.process.stderr.readline(), "migrationctl: the lease is taken again\n", "what it says")
            same([h[0] for h in holds(bus)], ["migrate"], "leases")
            same(holder.end("0\n"), (0, ""), "the end")
        ends(bus)


def what_cannot_be_held_is_refused():
    with Fake(endless=ENDLESS) as bus:
        for arguments, status, words in (
                (("hold", "nobody"), 3, "no VM or migration is called"),
                (("hold", "endless", "--what=sleep"), 2, "migrate, steer"),
                (("hold",), 2, "usage: migrationctl hold VM"),
                (("hold", "endless", "--", "/nonexistent/command"), 127, "/nonexistent/command"),
                (("hold", "endless", "--", "/etc/passwd"), 126, "/etc/passwd"),
                (("list", "--why=so"), 2, "list does not take --why")):
            with Holder(bus, *arguments) as holder:
                code, said = holder.end()
                same(code, status, f"exit status of {arguments}")
                check(words in said, f"{arguments}: {said}")
        ends(bus)
    with Fake(endless=ENDLESS) as bus:
        bus.stop_daemon()
        with Holder(bus, "hold", "endless", "--", *COMMAND) as holder:
            same(holder.end(), (5, "migrationctl: migrationd is not running (not on this bus)\n"), "without a daemon")
        bus.launch()


run(it_lasts_as_long_as_the_command, without_a_command_until_it_is_interrupted, a_killed_one_holds_nothing,
    the_end_of_the_command_by_a_signal, the_lease_comes_back_with_the_daemon, what_cannot_be_held_is_refused)
