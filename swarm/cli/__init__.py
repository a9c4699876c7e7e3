"""The command line: one small function per verb. Everything heavy is imported by the verb that needs it.

Exit codes: 0 done or drained, 1 error, 2 usage, 4 a limit was reached before anything ran, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from swarm import __version__
from swarm.cli import archive, confirm, develop, launch, look, steer
from swarm.errors import SwarmError

DESCRIPTION = """Machines do research overnight: one agent per GPU edits the training code, trains, keeps what is
better, and shares what it learned with all others."""

EPILOG = """\
every day    launch, watch, status, show, report, doctor, tell, stop
now and then attach, confirm, import, export, prune
developers   bench, simulate, chaos

A first night:  python prepare.py && python -m swarm launch --hours 8
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; gives the exit code."""
    try:
        options = parser().parse_args(arguments)
        return options.verb(options)
    except SwarmError as error:
        print(f"swarm: {error}", file=sys.stderr)
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
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"swarm {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for room in (launch, look, steer, confirm, archive, develop):
        room.add_to(verbs)
    return parser
