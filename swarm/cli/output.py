"""How verbs print: a console for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


PIPED = 10_000  # cells of a line that goes into a pipe or a file: nothing is cropped or wrapped there


def console() -> Console:
    """Where verbs print for people; what is no terminal gets every line in full."""
    from rich.console import Console

    screen = Console()
    if not screen.is_terminal:
        screen.width = PIPED
    return screen


def write_exactly(text: str) -> None:
    """Writes what another program reads: bytes that are not UTF-8, which stand as surrogates in it, as they were."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def print_json(value: object) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))
