# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of migrationctl for fish. Verbs, options and kinds of arguments come from its help, names from the daemon.

function __migrationctl_verb
    for word in (commandline -opc)[2..-1]
        if not string match -q -- '-*' $word
            echo $word
            return
        end
    end
end

function __migrationctl_verbs
    migrationctl --help 2>/dev/null | awk '
        /^Verbs:/ { on = 1; next }
        on && !NF { exit }
        on && /^  [a-z]/ { name = $1; text = substr($0, 25); if (text == "") getline text; sub(/^ +/, "", text)
                           print name "\t" text }'
end

function __migrationctl_names
    set -l usage (migrationctl $argv[1] --help 2>/dev/null | sed -n '1s/^migrationctl [a-z-]* *//p')
    if string match -q '*VM*' -- $usage
        migrationctl list --no-legend --json=short 2>/dev/null | grep -oE '"Name":"[^"]*"' | cut -d'"' -f4
    end
    if string match -q '*ID*' -- $usage
        migrationctl status --no-legend --json=short 2>/dev/null | grep -oE '"Id":"[^"]*"' | cut -d'"' -f4
    end
    string replace -a OPTIONS '' -- $usage | tr -c 'a-z-' '\n' | grep -xE '[a-z][a-z-]+'
    if string match -qr 'TRACE|FILE' -- $usage
        __fish_complete_path (commandline -ct)
    end
end

# What stands after "hold VM" is a command and its arguments, completed by their own rules.
function __migrationctl_command
    set -l words (string match -v -- '-*' (commandline -opc)[2..-1])
    test (count $words) -ge 2; and test "$words[1]" = hold
end

function __migrationctl_complete_command
    set -l words (commandline -opc)
    set -l position (math (contains -i -- hold $words) + 1)
    while string match -q -- '-*' $words[$position]
        set position (math $position + 1)
    end
    set position (math $position + 1)
    if test "$words[$position]" = --
        set position (math $position + 1)
    end
    complete -C (string join ' ' -- (string escape -- $words[$position..-1]) (commandline -ct))
end

function __migrationctl_options
    set -l verb (__migrationctl_verb)
    begin
        test -z "$verb"; or migrationctl $verb --help
        migrationctl --help | sed -n '/^Options of every verb/,$p'
    end 2>/dev/null | grep -oE '(^|[ ,])--[a-z-]+=?' | tr -d ' ,' | sort -u
end

complete -c migrationctl -f
complete -c migrationctl -n 'test -z (__migrationctl_verb)' -a '(__migrationctl_verbs)'
complete -c migrationctl -n __migrationctl_command -a '(__migrationctl_complete_command)'
complete -c migrationctl -n 'test -n (__migrationctl_verb); and not __migrationctl_command' -a '(__migrationctl_names (__migrationctl_verb))'
complete -c migrationctl -n 'string match -q -- "-*" (commandline -ct)' -a '(__migrationctl_options)'
complete -c migrationctl -l profile -x -a '(migrationctl profiles --no-legend 2>/dev/null)'
complete -c migrationctl -l json -x -a 'short pretty off'
complete -c migrationctl -l bus -x -a 'system session'
complete -c migrationctl -l what -x -a 'migrate steer migrate:steer'
