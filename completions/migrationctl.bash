# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Completion of migrationctl for bash. Verbs, options and kinds of arguments come from its help, names from the daemon.

__migrationctl_verbs() {
    migrationctl --help 2>/dev/null | awk '/^Verbs:/ { on = 1; next } on && !NF { exit } on && /^  [a-z]/ { print $1 }'
}

# __migrationctl_options [VERB]: of the verb, and those of every verb.
__migrationctl_options() {
    {
        [[ -z ${1-} ]] || migrationctl "$1" --help 2>/dev/null
        migrationctl --help 2>/dev/null | sed -n '/^Options of every verb/,$p'
    } | grep -oE '(^|[ ,])--[a-z-]+=?' | tr -d ' ,' | sort -u
}

# What the verb takes, as the first line of its help has it: "migrationctl cancel VM|ID".
__migrationctl_usage() {
    migrationctl "$1" --help 2>/dev/null | sed -n '1s/^migrationctl [a-z-]* *//p'
}

__migrationctl_vms() {
    migrationctl list --no-legend --json=short 2>/dev/null | grep -oE '"Name":"[^"]*"' | cut -d'"' -f4
}

__migrationctl_ids() {
    migrationctl status --no-legend --json=short 2>/dev/null | grep -oE '"Id":"[^"]*"' | cut -d'"' -f4
}

__migrationctl_profiles() {
    migrationctl profiles --no-legend 2>/dev/null
}

# Words for the arguments of a verb: names, files, or the words that the usage spells out.
__migrationctl_arguments() {
    local usage words
    usage=$(__migrationctl_usage "$1")
    words=$usage
    [[ $usage != *VM* ]] || __migrationctl_vms
    [[ $usage != *ID* ]] || __migrationctl_ids
    tr -c 'a-z-' '\n' <<<"${words//OPTIONS/}" | grep -xE '[a-z][a-z-]+' || true
}

# __migrationctl_command WORD...: what stands after "hold VM" is a command and its arguments.
__migrationctl_command() {
    if (($# == 1)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$1")
    else
        compopt -o default
    fi
}

_migrationctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb= word candidates= i
    local -a positions=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        [[ $word == -* || $word == = || ${COMP_WORDS[i - 1]} == = ]] || positions+=("$i")
    done
    ((${#positions[@]} == 0)) || verb=${COMP_WORDS[positions[0]]}
    if [[ $verb == hold && ${#positions[@]} -gt 1 && $cur != -* ]]; then
        i=$((positions[1] + 1))
        [[ ${COMP_WORDS[i]} != -- ]] || i=$((i + 1))
        __migrationctl_command "${COMP_WORDS[@]:i:COMP_CWORD-i+1}"
        return
    fi
    # bash cuts words at "=".
    [[ $cur != = ]] || cur=
    [[ $previous != = ]] || previous=${COMP_WORDS[COMP_CWORD - 2]}
    case $previous in
        --profile) candidates=$(__migrationctl_profiles) ;;
        --json) candidates='short pretty off' ;;
        --bus) candidates='system session' ;;
        --what) candidates='migrate steer' ;;
        *)
            if [[ $cur == -* ]]; then
                candidates=$(__migrationctl_options "$verb")
            elif [[ -z $verb ]]; then
                candidates=$(__migrationctl_verbs)
            else
                candidates=$(__migrationctl_arguments "$verb")
                if [[ $(__migrationctl_usage "$verb") =~ TRACE|FILE ]]; then
                    compopt -o default
                fi
            fi
            ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$cur")
    [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
}

complete -F _migrationctl migrationctl
