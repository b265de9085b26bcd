# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts what must not outlive us."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path


def spawn(command: list[str], **options) -> subprocess.Popen:
    """Out of the terminal's reach, so that Ctrl-C hits us alone and we clean up in order; and killed by the kernel
    should we be killed. Call it from the main thread: it is that thread's end that counts."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], stdin=subprocess.DEVNULL,
                            start_new_session=True, **options)


def favour(process: subprocess.Popen):
    """More processor time than others get, where we may: alone, and as a session, which is how Linux shares it out."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, -10)
    with suppress(OSError):
        Path(f"/proc/{process.pid}/autogroup").write_text("-10", encoding="ascii")


@contextmanager
def favoured():
    """Ourselves, where what we measure is not how long we wait for a processor. Not for what is started meanwhile."""
    path = Path("/proc/self/autogroup")
    with suppress(OSError):
        path.write_text("-10", encoding="ascii")
    try:
        yield
    finally:
        with suppress(OSError):
            path.write_text("0", encoding="ascii")


def clean_up_on_signals():
    """Turns signals that end a process into exceptions, so that context managers run. A shell may have started us with
    SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))


def run_tool(command: list, cwd: Path, what: str, **options) -> str:
    """What it says; an error with the end of that and `what` if it fails. With Debian's own tools first, whatever else
    the user has in front, and without what was meant for our own build."""
    ours = ("ASAN", "UBSAN", "LSAN", "MAKE", "MESON")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run([str(word) for word in command], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=environment, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{what}: {done.stdout.strip()[-3000:]}")
    return done.stdout
