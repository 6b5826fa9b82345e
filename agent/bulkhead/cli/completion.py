"""`bulkhead completion`: what a shell has to be told once, so that it completes the program's command lines.

kubectl completes its plugin by itself, where `kubectl_complete-bulkhead` is in the path. Next step: `cli.complete`.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = """\
examples:
  source <(bulkhead completion bash)
  bulkhead completion zsh > "${fpath[1]}/_bulkhead"
  bulkhead completion fish > ~/.config/fish/completions/bulkhead.fish

`kubectl bulkhead` is completed where kubectl itself is: it asks kubectl_complete-bulkhead, which is installed beside
bulkhead and has to be in the path.
"""
BASH = """\
_bulkhead() {
    local line word directive=0 words=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do [[ $word == "=" ]] || words+=("$word"); done
    [[ ${COMP_WORDS[COMP_CWORD]} != "=" ]] || words+=("")
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :*) directive=${line#:} ;;
            *) COMPREPLY+=("${line%%$'\\t'*}") ;;
        esac
    done < <(bulkhead __complete "${words[@]}" 2>/dev/null)
    [[ $directive != 0 ]] || compopt -o default
}
complete -F _bulkhead bulkhead
"""
ZSH = """\
#compdef bulkhead
_bulkhead() {
    local line directive=0
    local -a found
    while IFS= read -r line; do
        case $line in
            :*) directive=${line#:} ;;
            *$'\\t'*) found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}") ;;
            *) found+=("${line//:/\\\\:}") ;;
        esac
    done < <(bulkhead __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( $#found == 0 )) || _describe bulkhead found
    [[ $directive != 0 ]] || _files
}
if [[ $funcstack[1] == _bulkhead ]]; then _bulkhead; else compdef _bulkhead bulkhead; fi
"""
FISH = """\
function __bulkhead_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines (bulkhead __complete $words[2..] 2>/dev/null)
    string match --invert ':*' -- $lines
    contains -- :0 $lines; and __fish_complete_path (commandline -ct)
end
complete --command bulkhead --no-files --arguments '(__bulkhead_complete)'
"""
SHELLS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def add_parser(subparsers: Subparsers) -> None:
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "completion",
        help="have a shell complete command lines",
        description="Prints what a shell has to be told, so that it completes commands, options and names.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints it."""
    print(SHELLS[arguments.shell], end="")
    return 0
