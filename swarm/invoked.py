"""How this program was called, so that what people are told to type works as they typed before."""

from __future__ import annotations

import re
import sys
from pathlib import PurePath

WRITTEN = "python -m swarm"  # as messages write it, which may be stored and read elsewhere
_WRITTEN = re.compile(rf"\b{re.escape(WRITTEN)}(?![\w.])")  # and not python -m swarm.lab.demo
_SCRIPT = "swarm"  # the command that an installation puts on the PATH


def program() -> str:
    """The words that begin a command: `swarm` where that was typed, else `python -m swarm`."""
    return _SCRIPT if PurePath(sys.argv[0] if sys.argv else "").stem == _SCRIPT else WRITTEN


def as_typed(text: str) -> str:
    """A message with the program's name as it was typed."""
    return text if program() == WRITTEN else _WRITTEN.sub(program(), text)
