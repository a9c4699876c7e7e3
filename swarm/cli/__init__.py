"""The command line: one small function per verb. Everything heavy is imported by the verb that needs it.

Exit codes: 0 done or drained, 1 error, 2 usage, 4 a limit was reached before anything ran, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from swarm import __version__
from swarm.cli.parsing import HelpFormatter, Parser, VerbParser, check_verb
from swarm.errors import OutOfReach, SwarmError
from swarm.invoked import as_typed, program
from swarm.text import printable

DESCRIPTION = """\
Autonomous research on your training code: one agent per GPU edits the code,
trains it, keeps what is better, and shares what it learned with all others."""

GROUPS: Mapping[str, Mapping[str, str]] = {  # the verbs as --help lists them, and the module of this room each is in
    "every day": {
        "init": "init",
        "launch": "launch",
        "resume": "launch",
        "watch": "look",
        "serve": "serve",
        "ls": "overview",
        "status": "look",
        "show": "look",
        "report": "look",
        "tell": "steer",
        "stop": "steer",
        "doctor": "look",
    },
    "now and then": {
        "accept": "steer",
        "reject": "steer",
        "attach": "steer",
        "confirm": "confirm",
        "ablate": "ablate",
        "capsule": "capsule",
        "verify": "capsule",
        "judge": "judge",
        "replay": "replay",
        "export": "archive",
        "import": "archive",
        "prune": "archive",
        "completion": "completion",
    },
    "for developers of the swarm": {"bench": "develop", "simulate": "develop", "chaos": "develop"},
}
VERBS: Mapping[str, str] = {verb: module for group in GROUPS.values() for verb, module in group.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; gives the exit code."""
    try:
        words = sys.argv[1:] if arguments is None else arguments
        options = parser(_verb(words)).parse_args(words)
        return options.verb(options)
    except SwarmError as error:
        return _told(error)
    except PermissionError as error:  # any file may be another user's: those of a swarm that was started with sudo
        if error.filename is None:
            raise
        return _told(OutOfReach(error.filename, error))
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _told(error: SwarmError) -> int:
    print(f"swarm: {as_typed(printable(str(error)))}", file=sys.stderr)
    return error.exit_code


def _verb(words: Sequence[str]) -> str | None:
    """The verb that is asked for, where flags, or no verb at all, are about the whole program."""
    return words[0] if words and words[0] in VERBS and words[0] != "completion" else None


class _Swarm(Parser):
    """The whole command line: a verb, and what that verb understands."""

    verbs: Mapping[str, VerbParser]

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        check_verb(args or (), VERBS)
        return super().parse_known_args(args, namespace)


def parser(verb: str | None = None) -> _Swarm:
    """Every verb with its flags, or only those that are in one module with `verb`, which is sooner read; what parses
    says under `verb` which function does it."""
    parser = _Swarm(
        prog=program(),
        usage=f"{program()} VERB [FLAG ...]",
        description=DESCRIPTION,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"swarm {__version__}")
    verbs = parser.add_subparsers(
        prog=parser.prog, metavar="VERB", required=True, help=argparse.SUPPRESS, parser_class=VerbParser
    )
    for module in [VERBS[verb]] if verb else dict.fromkeys(VERBS.values()):
        import_module(f"swarm.cli.{module}").add_to(verbs)
    parser.verbs = verbs.choices
    if verb is None:
        explained = f"`{program()} VERB --help` explains a verb."
        first = f"A first swarm:  {program()} launch --hours 8"
        parser.epilog = "\n\n".join([*_overview(verbs.choices), explained, first])
    return parser


def _overview(verbs: Mapping[str, argparse.ArgumentParser]) -> Iterator[str]:
    """Each group of verbs with the first line of what they do."""
    for group, names in GROUPS.items():
        lines = (f"  {name:10} {(verbs[name].description or '').splitlines()[0]}" for name in names)
        yield "\n".join([f"{group}:", *lines])
