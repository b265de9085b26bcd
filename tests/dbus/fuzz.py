# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that the daemon shows on the bus, called with anything: by somebody who may only look, and by root. The
suite also runs with sanitizers. MIGD_FUZZ_CALLS makes it longer; the seed is printed, and MIGD_FUZZ_SEED repeats it."""

import os
import random
import subprocess
import sys
from pathlib import Path

from fake import EASY, ENDLESS, MANAGER, ROOT, Fake

from harness.case import Skip, check, run, same

CALLS = int(os.environ.get("MIGD_FUZZ_CALLS", "600"))


def fuzz(bus: Fake, *prefix: str):
    seed = os.environ.get("MIGD_FUZZ_SEED") or str(random.randrange(1 << 32))
    os.chmod(bus.directory, 0o711)
    client = (Path(__file__).parent / "fuzz_client.py").read_text()
    done = subprocess.run([*prefix, sys.executable, "-c", client, bus.address, seed, str(CALLS)], text=True,
                          capture_output=True, timeout=170, cwd="/", check=False)
    print(f"# seed {seed}")
    print("".join(f"# {line}\n" for line in done.stdout.splitlines()), end="")
    check(bus.daemon.poll() is None, f"the daemon ended: {bus.log_text()[-3000:]}")
    check(done.returncode == 0, f"seed {seed}: {done.stdout} {done.stderr[-2000:]}")
    check(" ok\n" in done.stdout, "no call succeeded")


def as_nobody():
    if os.geteuid() != 0:
        raise Skip("only root can become somebody else")
    with Fake(endless=ENDLESS, easy=EASY) as bus:
        path = bus.migrate("endless", Deadline="none", Allow="none")
        before = bus.get(ROOT, MANAGER)
        fuzz(bus, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        same(bus.get(ROOT, MANAGER), before, "properties of the manager")
        same([m["Object"] for m in bus.migrations(active=True)], [path], "migrations")
        same(bus.domains()["easy"]["Holds"], [], "leases")


def as_root():
    with Fake(endless=ENDLESS, easy=EASY) as bus:
        fuzz(bus)
        bus.wait(lambda: "easy" in bus.domains(), "an answer")
        for text in bus.log_text().splitlines():
            check(text.isprintable(), f"log: {text!r}")


run(as_nobody, as_root)
