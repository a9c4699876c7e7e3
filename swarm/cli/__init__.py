"""The command line: one small function per verb. Everything heavy is imported by the verb that needs it.

Exit codes: 0 done or drained, 1 error, 2 usage, 4 a limit was reached before anything ran, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swarm import __version__
from swarm.cli import (
    ablate,
    archive,
    capsule,
    completion,
    confirm,
    develop,
    init,
    judge,
    launch,
    look,
    overview,
    replay,
    serve,
    steer,
)
from swarm.cli.parsing import Parser, VerbParser, check_verb
from swarm.errors import SwarmError
from swarm.invoked import as_typed, program
from swarm.text import printable

DESCRIPTION = """\
Autonomous research on your training code: one agent per GPU edits the code,
trains it, keeps what is better, and shares what it learned with all others."""

GROUPS = {  # the verbs as --help lists them
    "every day": (
        *("init", "launch", "resume", "watch", "serve", "ls", "status", "show", "report", "tell", "stop", "doctor"),
    ),
    "now and then": (
        *("accept", "reject", "attach", "confirm", "ablate", "capsule", "verify", "judge", "replay", "export"),
        *("import", "prune"),
        "completion",
    ),
    "for developers of the swarm": ("bench", "simulate", "chaos"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; gives the exit code."""
    try:
        words = sys.argv[1:] if arguments is None else arguments
        options = parser().parse_args(words)
        return options.verb(options)
    except SwarmError as error:
        print(f"swarm: {as_typed(printable(str(error)))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


class _Swarm(Parser):
    """The whole command line: a verb, and what that verb understands."""

    verbs: Mapping[str, VerbParser]

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        check_verb(args or (), self.verbs)
        return super().parse_known_args(args, namespace)


def parser() -> _Swarm:
    """Every verb with its flags; what parses says under `verb` which function does it."""
    parser = _Swarm(
        prog=program(),
        usage=f"{program()} VERB [FLAG ...]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"swarm {__version__}")
    verbs = parser.add_subparsers(
        prog=parser.prog, metavar="VERB", required=True, help=argparse.SUPPRESS, parser_class=VerbParser
    )
    for module in (
        init,
        launch,
        look,
        overview,
        serve,
        steer,
        confirm,
        ablate,
        capsule,
        judge,
        replay,
        archive,
        completion,
        develop,
    ):
        module.add_to(verbs)
    parser.verbs = verbs.choices
    explained = f"`{program()} VERB --help` explains a verb."
    parser.epilog = "\n\n".join([*_overview(verbs.choices), explained, f"A first swarm:  {program()} launch --hours 8"])
    return parser


def _overview(verbs: Mapping[str, argparse.ArgumentParser]) -> Iterator[str]:
    """Each group of verbs with the first line of what they do."""
    for group, names in GROUPS.items():
        lines = (f"  {name:10} {(verbs[name].description or '').splitlines()[0]}" for name in names)
        yield "\n".join([f"{group}:", *lines])
