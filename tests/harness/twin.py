# SPDX-License-Identifier: LGPL-2.1-or-later
"""A *.scenario twice: as the real thing (the test guest's command line, a link with a schedule) and as the text that
migrationctl simulates. The guest writes at random into a working set that is spread over its memory, which is what
scenarios mean."""

import configparser
import re
from dataclasses import dataclass, field
from pathlib import Path

from .pair import MIB

RESERVED_MIB = 8         # below the pages under test (tests/guest/memory.c); never written, but for a few
SETTLE_MS = 3000         # the guest runs this long before its migration
LINK_KEYS = {"bandwidth", "max-bandwidth"}
KNOWN = {
    "scenario": {"name", "time-limit", "seed", "noise"},
    "guest": {"memory", "zero", "dirty-rate", "working-set", "throttle-response", "postcopy"},
    "link": LINK_KEYS,
    "costs": {"fixed-downtime"},
}

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30}


def size(text: str) -> float:
    """Bytes, or bytes a second, of "64MiB" and "40MB/s"; 0 for "none"."""
    if text == "none":
        return 0
    match = re.fullmatch(r"([0-9.]+)([kKMG]?i?B)(/s)?", text)
    if not match:
        raise ValueError(f"{text}: neither a size nor a rate")
    return float(match[1]) * UNITS[match[2]]


def seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9.]+)(ms|s|min)", text)
    if not match:
        raise ValueError(f"{text}: not a time")
    return float(match[1]) * {"ms": 0.001, "s": 1, "min": 60}[match[2]]


@dataclass
class Twin:
    path: Path
    sections: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self):
        parser = configparser.ConfigParser(delimiters="=", interpolation=None)
        parser.optionxform = str
        parser.read_string(self.path.read_text(encoding="utf-8"))
        self.sections = {name: dict(parser[name]) for name in parser.sections()}
        for name, keys in self.sections.items():
            for key in keys:
                if key.split("@")[0] not in KNOWN.get(name, ()):
                    raise ValueError(f"{self.path}: [{name}] {key} cannot be made real here")
        if self.memory_mib - self.touched_mib < RESERVED_MIB:
            raise ValueError(f"{self.path}: zero= must leave {RESERVED_MIB} MiB that the guest never writes")

    def value(self, section: str, key: str, default: str) -> str:
        return self.sections.get(section, {}).get(key, default)

    def changes(self, section: str, key: str) -> list[tuple[float, str]]:
        """(time, value) in order; the first is at 0."""
        rows = self.sections.get(section, {})
        return sorted([(0.0, rows[key])] * (key in rows)
                      + [(seconds(k.split("@")[1]), v) for k, v in rows.items() if k.startswith(f"{key}@")])

    @property
    def name(self) -> str:
        return self.value("scenario", "name", self.path.stem)

    @property
    def time_limit_s(self) -> float:
        return seconds(self.value("scenario", "time-limit", "4000s"))

    @property
    def memory_mib(self) -> int:
        return round(size(self.value("guest", "memory", "1GiB")) / MIB)

    @property
    def ws_mib(self) -> int:
        return round(size(self.value("guest", "working-set", "64MiB")) / MIB)

    @property
    def touched_mib(self) -> int:
        return round(self.memory_mib * (1 - float(self.value("guest", "zero", "0"))))

    @property
    def postcopy(self) -> bool:
        return self.value("guest", "postcopy", "no") == "yes"

    @property
    def append(self) -> str:
        """Of the guest, which changes its rate at the times of the scenario if it is migrated SETTLE_MS after it
        began to count."""
        rates = [(at, round(size(rate) / 10**6)) for at, rate in self.changes("guest", "dirty-rate")] or [(0.0, 0)]
        ends = [at for at, _ in rates[1:]]
        begin, phases = 0.0, []
        for end, (_, rate) in zip([*[SETTLE_MS / 1000 + e for e in ends], 0.0], rates):
            phases.append(f"{round(max(end - begin, 0))}:{rate}")
            begin = end
        return (f"ws={self.ws_mib} touch={self.touched_mib - self.ws_mib} pattern=spread phases={','.join(phases)}")

    def link(self) -> list[tuple[float, float]]:
        """(time, bytes/s) in order."""
        return [(at, size(rate)) for at, rate in self.changes("link", "bandwidth")]

    def text(self, rate_factor: float = 1, **costs: str) -> str:
        """The scenario, with its dirty rates as the guest really has them (`rate_factor` of what is wanted), and
        other values for what this machine decides: costs, bandwidth, zero, memory."""
        sections = {name: dict(keys) for name, keys in self.sections.items()}
        for key, rate in sections.get("guest", {}).items():
            if key.split("@")[0] == "dirty-rate":
                sections["guest"][key] = f"{round(size(rate) * rate_factor)}B/s"
        for key, value in costs.items():
            key = key.replace("_", "-")
            section = next(name for name, keys in KNOWN.items() if key in keys)
            sections.setdefault(section, {})[key] = value
        return "".join(f"[{name}]\n" + "".join(f"{k}={v}\n" for k, v in keys.items()) + "\n"
                       for name, keys in sections.items())
