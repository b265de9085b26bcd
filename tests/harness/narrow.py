# SPDX-License-Identifier: LGPL-2.1-or-later
"""A way to another host on which each connection carries so much and no more."""

import subprocess
import sys

from . import relay
from .hosts import Host
from .process import spawn


class NarrowWay:
    """What is sent to `uri` reaches `target`, at the same port. Use it as a context manager."""

    def __init__(self, host: Host, target: Host, port: int, bytes_per_s: int):
        self.uri = f"tcp://{host.address}:{port}"
        self._command = [*host.within, sys.executable, "-B", relay.__file__, host.address, str(port), target.address,
                         str(bytes_per_s)]
        self._host = host
        self._process: subprocess.Popen | None = None

    def __enter__(self):
        # What waits in a socket QEMU takes for sent, and so for speed. The setting is the test host's own.
        self._host.run("sysctl", "-qw", f"net.ipv4.tcp_wmem=4096 65536 {relay.BUFFER}")
        self._process = spawn(self._command, stdout=subprocess.PIPE, text=True)
        if self._process.stdout.readline() != "ready\n":
            self.__exit__()
            raise RuntimeError(f"no relay: {' '.join(self._command)}")
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()
