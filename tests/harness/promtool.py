# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prometheus' own checker of metrics: the installed one, else the one of Debian's package, which is fetched, unpacked
in build-promtool/ and not installed, since the package would start a server."""

import shutil
import subprocess

from . import paths

PLACE = paths.SOURCE / "build-promtool"


def program() -> str:
    unpacked = PLACE / "usr/bin/promtool"
    installed = shutil.which("promtool")
    if installed or unpacked.exists():
        return installed or str(unpacked)
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    subprocess.run(["apt-get", "download", "-qq", "prometheus"], cwd=PLACE, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    package = next(PLACE.glob("*.deb"))
    files = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], check=True, capture_output=True).stdout
    subprocess.run(["tar", "--extract", f"--directory={PLACE}", "./usr/bin/promtool"], input=files, check=True)
    package.unlink()
    return str(unpacked)


def complaints(text: str) -> str:
    """What it has to say about that text; "" = nothing."""
    done = subprocess.run([program(), "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    return done.stdout + done.stderr + (f"exit status {done.returncode}" if done.returncode else "")
