# SPDX-License-Identifier: LGPL-2.1-or-later
"""The completions in the shells that they are for, with a daemon to ask for names: each shell is asked what it would
offer at the end of a line."""

import os
import shutil
import subprocess
from pathlib import Path

from fake import EASY, ENDLESS, Fake

from harness import paths
from harness.case import check, run, same

COMPLETIONS = paths.SOURCE / "completions"
# As bash itself does: the words, then the function that is registered for the command.
BASH = r"""
compopt() { :; }  # works only while a line is edited
source "$1"
COMP_LINE=$2 COMP_POINT=${#2}
# bash cuts words at "=" and ":" too.
read -ra COMP_WORDS <<<"$(sed 's/[=:]/ & /g' <<<"$2")"
[[ $2 != *[\ =] ]] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
[[ $(complete -p migrationctl) == "complete -F _migrationctl migrationctl" ]] || exit 9
_migrationctl migrationctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
"""
# In a terminal of its own, where the line is typed and its completions are listed between two marks.
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
line() { zpty -w shell "$1" }
line 'PROMPT= RPROMPT=; stty columns 1 rows 1000; unsetopt zle_bracketed_paste; LISTMAX=10000'
line "fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; zstyle ':completion:*' list-grouped false"
line "zstyle ':completion:*' insert-tab false; zstyle ':completion:*' list-separator '#'"
line 'compadd() { local -a found; builtin compadd -O found "$@" 2>/dev/null
                  (( ! $#found )) || printf "<%s>\n" $found >>$OFFERED
                  builtin compadd "$@" }'
line "zle -C list-them list-choices _main_complete; say() { zle list-them; print -- '-done-' >>\$OFFERED }"
line 'zle -N say; bindkey "^X" say; print -- -ready- >>$OFFERED'
until [[ -s $OFFERED && "$(<$OFFERED)" == *-ready-* ]] { zpty -r -t shell rubbish || read -t 0.02 }
: >$OFFERED
zpty -w -n shell "$2"$'\x18'
until [[ "$(<$OFFERED)" == *-done-* ]] { zpty -r -t shell rubbish || read -t 0.02 }
zpty -d shell
sed -n 's/^<\(.*\)>$/\1/p' $OFFERED
"""


class Shells:
    """bash, zsh and fish, each with migrationctl on its path and the test's bus as the system's."""

    def __init__(self, bus: Fake):
        self.bus = bus
        self.home = Path(bus.directory) / "home"
        self.home.mkdir()
        folder = Path(bus.directory) / "bin"
        folder.mkdir()
        (folder / "migrationctl").symlink_to(paths.migrationctl())
        (self.home / ".config/fish/completions").mkdir(parents=True)
        (self.home / ".config/fish/completions/migrationctl.fish").symlink_to(COMPLETIONS / "migrationctl.fish")
        self.environment = {"PATH": f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.home),
                            "LC_ALL": "C.UTF-8", "TERM": "dumb", "DBUS_SYSTEM_BUS_ADDRESS": bus.address,
                            "OFFERED": str(self.home / "offered")} | {
            k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}

    def _run(self, *command: str) -> list[str]:
        check(shutil.which(command[0]) is not None, f"{command[0]} is not installed")
        done = subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
                              env=self.environment, cwd=self.home, check=False)
        check(done.returncode == 0 and not done.stderr, f"{command[0]}: {done.returncode}: {done.stderr}")
        return done.stdout.splitlines()

    def bash(self, line: str) -> list[str]:
        return self._run("bash", "--norc", "-c", BASH, "bash", str(COMPLETIONS / "migrationctl.bash"), line)

    def zsh(self, line: str) -> list[str]:
        Path(self.environment["OFFERED"]).write_text("")
        return self._run("zsh", "-f", "-c", ZSH, "zsh", str(COMPLETIONS), line)

    def fish(self, line: str) -> list[str]:
        return [word.partition("\t")[0] for word in
                self._run("fish", "--private", "-c", "complete -C $argv[1]", line)]

    def each(self):
        return (("bash", self.bash), ("zsh", self.zsh), ("fish", self.fish))


def offered(words: list[str], wanted: set[str], what: str):
    """By the word that is completed: some shells give the whole of it, some what comes after its "="."""
    same({w.rpartition("=")[2] or w for w in words}, wanted, what)


def verbs_and_options():
    with Fake(easy=EASY) as bus:
        shells = Shells(bus)
        for name, ask in shells.each():
            verbs = set(ask("migrationctl "))
            check({"list", "migrate", "hold", "metrics"} <= verbs and "--json" not in verbs, f"{name}: {verbs}")
            same(set(ask("migrationctl pro")), {"profiles"}, f"{name}: pro")
            options = {o.rstrip("=") for o in ask("migrationctl migrate --")}
            check({"--wait", "--profile", "--json"} <= options and "--chart" not in options, f"{name}: {options}")
            offered(ask("migrationctl migrate --profile="), {"default", "gentle", "low-downtime", "must-finish"},
                    f"{name}: profiles")
            offered(ask("migrationctl --json=p"), {"pretty"}, f"{name}: --json=p")
            offered(ask("migrationctl hooks "), {"install", "remove", "status"}, f"{name}: hooks")


def names_that_live():
    with Fake(easy=EASY, endless=ENDLESS) as bus:
        shells = Shells(bus)
        path = bus.migrate("endless", Deadline="none", Allow="none")
        identity = path.rpartition("/")[2].replace("_", "-")
        for name, ask in shells.each():
            same(set(ask("migrationctl dirty-rate ")), {"easy", "endless"}, f"{name}: VMs")
            same(set(ask("migrationctl cancel ")), {"easy", "endless", identity}, f"{name}: VMs and migrations")
            same(set(ask("migrationctl watch eas")), {"easy"}, f"{name}: eas")
            same(set(ask(f"migrationctl explain {identity[:6]}")), {identity}, f"{name}: the beginning of an id")
            same(set(ask("migrationctl hold --what=steer en")), {"endless"}, f"{name}: hold")
            check("migrationctl" in ask("migrationctl hold easy -- migrationc"), f"{name}: a command")
        bus.add("third", EASY)
        bus.wait(lambda: "third" in bus.domains(), "a third guest")
        for name, ask in shells.each():
            same(set(ask("migrationctl watch t")), {"third"}, f"{name}: a new guest")


def without_a_daemon():
    """Nothing to offer, and no noise on the command line."""
    with Fake(easy=EASY) as bus:
        shells = Shells(bus)
        bus.stop_daemon()
        for name, ask in shells.each():
            same(ask("migrationctl watch "), [], f"{name}: VMs")
            check("watch" in ask("migrationctl w"), f"{name}: verbs")
        bus.launch()


run(verbs_and_options, names_that_live, without_a_daemon)
