"""The command line: one small function per verb. Everything heavy is imported by the verb that needs it.

Exit codes: 0 done or drained, 1 error, 2 usage, 4 a limit was reached before anything ran, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence

from swarm import __version__
from swarm.cli import archive, capsule, confirm, develop, init, judge, launch, look, steer
from swarm.errors import SwarmError
from swarm.text import printable

DESCRIPTION = """\
Autonomous research on your training code: one agent per GPU edits the code,
trains it, keeps what is better, and shares what it learned with all others."""

GROUPS = {  # the verbs as --help lists them
    "every day": ("init", "launch", "watch", "status", "show", "report", "tell", "stop", "doctor"),
    "now and then": ("attach", "confirm", "capsule", "verify", "judge", "export", "import", "prune"),
    "for developers of the swarm": ("bench", "simulate", "chaos"),
}
FIRST = "A first swarm overnight:  python prepare.py && python -m swarm launch --hours 8"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; gives the exit code."""
    try:
        options = parser().parse_args(arguments)
        return options.verb(options)
    except SwarmError as error:
        print(f"swarm: {printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """Every verb with its flags; what parses says under `verb` which function does it."""
    parser = argparse.ArgumentParser(
        prog="python -m swarm",
        usage="python -m swarm VERB [FLAG ...]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"swarm {__version__}")
    verbs = parser.add_subparsers(prog=parser.prog, metavar="VERB", required=True, help=argparse.SUPPRESS)
    for module in (init, launch, look, steer, confirm, capsule, judge, archive, develop):
        module.add_to(verbs)
    parser.epilog = "\n\n".join([*_overview(verbs.choices), "`python -m swarm VERB --help` explains a verb.", FIRST])
    return parser


def _overview(verbs: Mapping[str, argparse.ArgumentParser]) -> Iterator[str]:
    """Each group of verbs with the first line of what they do."""
    for group, names in GROUPS.items():
        lines = (f"  {name:9} {(verbs[name].description or '').splitlines()[0]}" for name in names)
        yield "\n".join([f"{group}:", *lines])
