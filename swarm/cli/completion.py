"""The verb completion: what a shell needs to complete verbs and flags, made from the parsers themselves."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from typing import Any

from swarm.cli.options import add_verb
from swarm.cli.parsing import VerbParser
from swarm.errors import UsageError

_EVERY = ("--help",)


def add_to(verbs: Any) -> None:
    parser = add_verb(
        verbs,
        completion,
        repo=False,
        examples=("bash > ~/.swarm-completion.bash", "fish | source"),
    )
    parser.add_argument("shell", metavar="SHELL", help=", ".join(SHELLS))
    parser.set_defaults(verbs=verbs.choices)  # filled by whoever is added after this


def completion(options: argparse.Namespace) -> int:
    """Prints what makes bash, zsh or fish complete verbs and flags."""
    if options.shell not in SHELLS:
        raise UsageError(f"completion {options.shell:.80}: it is one of {', '.join(SHELLS)}")
    print(SHELLS[options.shell](options.verbs))
    return 0


def _bash(verbs: Mapping[str, VerbParser]) -> str:
    cases = "\n".join(f'        {name}) words="{" ".join([*verbs[name].flags()])}" ;;' for name in verbs)
    return f"""\
_swarm() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" verb="" word words=""
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$word" in -*) ;; *) verb="$word"; break ;; esac
    done
    case "$verb" in
        "") words="{" ".join([*verbs, *_EVERY, "--version"])}" ;;
{cases}
    esac
    COMPREPLY=()
    if [ -z "$verb" ] || [ "${{cur#-}}" != "$cur" ]; then COMPREPLY=($(compgen -W "$words" -- "$cur")); fi
}}
complete -o bashdefault -o default -F _swarm swarm"""


def _zsh(verbs: Mapping[str, VerbParser]) -> str:
    listed = " ".join(_quoted(f"{name}:{_first_line(verbs[name])}") for name in verbs)
    flags = {
        name: " ".join(_quoted(f"{flag}:{text}") for flag, text in _flags(verb).items()) for name, verb in verbs.items()
    }
    cases = "\n".join(f"        {name}) flags=({words}) ;;" for name, words in flags.items())
    return f"""\
#compdef swarm
_swarm() {{
    local -a verbs flags
    verbs=({listed})
    if (( CURRENT == 2 )); then _describe verb verbs; return; fi
    case $words[2] in
{cases}
    esac
    if [[ $PREFIX == -* ]]; then _describe flag flags; else _files; fi
}}
if [ "$funcstack[1]" = _swarm ]; then _swarm "$@"; else compdef _swarm swarm; fi"""


def _fish(verbs: Mapping[str, VerbParser]) -> str:
    lines = [f"complete -c swarm -n __fish_use_subcommand -f -a {name} -d {_quoted(_first_line(verbs[name]))}"
             for name in verbs]  # fmt: skip
    for name, parser in verbs.items():
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        lines += [f"complete -c swarm {seen} -l {flag[2:]} -d {_quoted(text)}" for flag, text in _flags(parser).items()]
    return "\n".join(lines)


SHELLS: Mapping[str, Callable[[Mapping[str, VerbParser]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def _flags(parser: VerbParser) -> dict[str, str]:
    """Every flag with what it is for."""
    helps = {word: action.help or "" for action in parser._actions for word in action.option_strings}
    return {flag: _plain(re.sub(r" *\(%\(default\)s[^)]*\)", "", helps[flag])) for flag in parser.flags()}


def _first_line(parser: VerbParser) -> str:
    return _plain((parser.description or "").splitlines()[0])


def _plain(text: str) -> str:
    """Without what some shell would take for its own."""
    return text.replace("'", "").replace("`", "").replace(":", ",").replace("%%", "%")


def _quoted(text: str) -> str:
    return f"'{text}'"
