"""How verbs print: a console for people, JSON for programs."""

from __future__ import annotations

import json
import re
import sys
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console


PIPED = 10_000  # cells of a line that goes into a pipe or a file: nothing is cropped or wrapped there


def console() -> Console:
    """Where verbs print for people; what is no terminal gets every line in full."""
    from rich.console import Console

    screen = Console()
    return screen if screen.is_terminal else Console(file=cast(IO[str], _Trimmed(sys.stdout)), width=PIPED)


class _Trimmed:
    """A text file without the blanks that fill the lines of a table."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        self._file.write(re.sub(r" +$", "", text, flags=re.MULTILINE) if text.endswith("\n") else text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def tell(line: str) -> None:
    """How work goes on, beside what the verb prints in the end."""
    print(line, file=sys.stderr, flush=True)


def write_exactly(text: str) -> None:
    """Writes what another program reads: bytes that are not UTF-8, which stand as surrogates in it, as they were."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def print_json(value: object) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))
