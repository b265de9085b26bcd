# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs virsh against one libvirtd. What it is asked for is what an administrator would type."""

import json
import subprocess

from .process import spawn

TIMEOUT_S = 60


class VirshError(Exception):
    """virsh failed; the text is what it said."""


class Virsh:
    def __init__(self, uri: str):
        self.uri = uri

    def popen(self, *arguments: str) -> subprocess.Popen:
        """In the background; its output is one text."""
        return spawn(["virsh", "-q", "-c", self.uri, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                     text=True)

    def __call__(self, *arguments: str, timeout: float = TIMEOUT_S) -> str:
        process = self.popen(*arguments)
        try:
            output, _ = process.communicate(timeout=timeout)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        if process.returncode:
            raise VirshError(f"virsh {' '.join(arguments)}: {output.strip()}")
        return output.strip()

    def monitor(self, domain: str, command: str, **arguments):
        """Asks QEMU itself. Taints the domain: for the end of a test."""
        request = {"execute": command}
        if arguments:
            request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        answer = json.loads(self("qemu-monitor-command", domain, json.dumps(request)))
        if "error" in answer:
            raise VirshError(f"{command}: {answer['error']['desc']}")
        return answer["return"]
