#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual is complete: what the code knows by name is a term in the section of the page that is its place, and each
term there is something that the code knows.

Verbs and options of migrationctl, and all of the bus interface but its errors, are made from the program and the XML
(docs/man/*.py), so they cannot drift.
"""

import re
from pathlib import Path
from typing import NamedTuple

import common
from common import Case, Violation

TERM = re.compile(r"^``([^`]+)``$")


class Topic(NamedTuple):
    source: str
    pattern: str  # one group for each part of the term
    page: str
    sections: dict[str, str]  # heading -> first group that belongs there; "" = all
    term: str  # what is made of the last group
    begin: str = ""  # the table begins at the line that has this, and ends at its "};"


TOPICS = (
    Topic("daemon/config.c", r'^    \{"(\w+)", "(\w+)", parse', "migrationd.conf.5.rst",
          {"[Daemon]": "Daemon", "[Qmp]": "Qmp", "[Libvirt]": "Libvirt", "[Log]": "Log", "[Trace]": "Trace"}, "{}="),
    Topic("src/policy/profile.c", r'^    \{()"(\w+)", set_', "migrationd-profile.5.rst", {"[Profile]": ""}, "{}="),
    Topic("src/policy/reason.c", r'()"([a-z-]+)"', "migrationd.8.rst", {"ACTIONS": ""}, "{}", "action_words["),
    Topic("src/policy/reason.c", r'()"([a-z-]+)"', "migrationd.8.rst", {"VERDICTS": ""}, "{}", "verdict_words["),
    Topic("src/policy/reason.c", r'(?:^ +|= )\{()"([a-z-]+)",', "migrationd.8.rst", {"REASONS": ""}, "{}", "reasons["),
    Topic("daemon/main.c", r'^        \{()"([a-z-]+)", 0, 0, G_OPTION', "migrationd.8.rst", {"OPTIONS": ""}, "--{}"),
    Topic("daemon/journal.h", r'()MIGD_MESSAGE_\w+ "([0-9a-f]{32})"', "migrationd.8.rst", {"JOURNAL": ""}, "{}"),
    Topic("src/base/error.c", r'()MIGD_BUS_ERROR "(\w+)"', "org.migrationd1.rst.in", {"ERRORS": ""},
          "org.migrationd1.Error.{}"),
    Topic("src/cli/metrics.c", r'(?:^    \{|begin\(out, |", )()"(\w+_\w+)", (?:"bytes|"ratio|"seconds|NULL, "|"gauge)',
          "migrationctl.1.rst.in", {"METRICS": ""}, "migrationd_{}"),
)
# Terms that come from elsewhere: of other places in the code, or made of two parts.
MORE = {
    "Description=", "org.freedesktop.DBus.Error.AccessDenied", "migrationd_migrations_total",
    "migrationd_decisions_total", "migrationd_qmp_errors_total", "migrationd_migration_duration_seconds",
    "migrationd_migration_downtime_seconds"}


def table(text: str, begin: str) -> str:
    if not begin:
        return text
    start = text.index(begin)
    return text[start:text.index("\n};", start)]


def known(root: Path, topic: Topic) -> list[tuple[str, str]]:
    """(group, term) in the order of the source."""
    text = table(common.read(root / topic.source), topic.begin)
    return [(group, topic.term.format(word)) for group, word in re.findall(topic.pattern, text, re.MULTILINE)]


def terms(root: Path, page: str) -> dict[str, dict[str, int]]:
    """Heading -> term -> line."""
    found: dict[str, dict[str, int]] = {}
    heading, before = "", ""
    for number, line in enumerate(common.read(root / "docs/man" / page).splitlines(), 1):
        if re.fullmatch(r"=+|-+", line) and before.strip():
            heading = before
        elif (match := TERM.match(line)) is not None:
            found.setdefault(heading, {})[match[1]] = number
        before = line
    return found


def check_topic(root: Path, topic: Topic) -> list[Violation]:
    words = known(root, topic)
    if not words:
        return [Violation(topic.source, 1, "nothing found that the manual should have")]
    page = f"docs/man/{topic.page}"
    headings = terms(root, topic.page)
    violations = []
    for heading, group in topic.sections.items():
        wanted = {term for g, term in words if g == group}
        there = headings.get(heading, {})
        violations += [Violation(page, 1, f"{heading}: {term} is not documented")
                       for term in sorted(wanted - set(there))]
        violations += [Violation(page, there[term], f"{heading}: {term} is not known to {topic.source}")
                       for term in sorted(set(there) - wanted - MORE)]
    violations += [Violation(page, 1, f"no section for {term} of [{g}]") for g, term in words
                   if g not in topic.sections.values()]
    return violations


def check_catalog(root: Path) -> list[Violation]:
    """Each MESSAGE_ID is explained, and none that does not exist."""
    ids = set(re.findall(r'MIGD_MESSAGE_\w+ "([0-9a-f]{32})"', common.read(root / "daemon/journal.h")))
    path = "systemd/migrationd.catalog"
    explained = re.findall(r"^-- ([0-9a-f]{32})$", common.read(root / path), re.MULTILINE)
    return [Violation(path, 1, f"{i} is not explained") for i in sorted(ids - set(explained))] + [
        Violation(path, 1, f"{i} is no message") for i in sorted(set(explained) - ids)]


def check(root: Path) -> list[Violation]:
    violations = []
    for topic in TOPICS:
        if (root / topic.source).exists():
            violations += check_topic(root, topic)
    print(f"{sum(len(known(root, t)) for t in TOPICS if (root / t.source).exists())} names")
    return violations + (check_catalog(root) if (root / "systemd/migrationd.catalog").exists() else [])


CONFIG = 'rows[] = {\n    {"Log", "Level", parse_level, 1},\n};\n'
PAGE = "Head\n====\n\n{}\n\n[Log]\n=====\n\n``Level=``\n    Text.\n{}"
SECTIONS = "".join(f"[{name}]\n{'=' * (len(name) + 2)}\n\n" for name in ("Daemon", "Qmp", "Libvirt", "Trace"))


def tree(config: str = CONFIG, more: str = "", **files: str) -> dict[str, str]:
    return {"daemon/config.c": config, "docs/man/migrationd.conf.5.rst": PAGE.format(SECTIONS, more)} | {
        name.replace("__", "/").replace("_dot_", "."): text for name, text in files.items()}


CASES = [
    Case("complete", tree(), []),
    Case("a key without a word", tree(CONFIG.replace("};", '    {"Log", "Colour", parse_yes, 1},\n};')),
         ["docs/man/migrationd.conf.5.rst:1: [Log]: Colour= is not documented"]),
    Case("a word without a key", tree(more="\n``Colour=``\n    Text.\n"),
         [f"docs/man/migrationd.conf.5.rst:{4 + SECTIONS.count(chr(10)) + 8}: [Log]: Colour= is not known"]),
    Case("a section without a place", tree(CONFIG.replace('"Log"', '"New"')),
         ["docs/man/migrationd.conf.5.rst:1: no section for Level= of [New]",
          f"docs/man/migrationd.conf.5.rst:{4 + SECTIONS.count(chr(10)) + 5}: [Log]: Level= is not known"]),
    Case("a message that nobody explains",
         {"daemon/journal.h": f'#define MIGD_MESSAGE_A "{"a" * 32}"\n',
          "docs/man/migrationd.8.rst": f"JOURNAL\n=======\n\n``{'a' * 32}``\n    Text.\n",
          "systemd/migrationd.catalog": f"-- {'b' * 32}\n"},
         ["systemd/migrationd.catalog:1: " + "a" * 32 + " is not explained",
          "systemd/migrationd.catalog:1: " + "b" * 32 + " is no message"]),
]

if __name__ == "__main__":
    common.main(check, CASES)
