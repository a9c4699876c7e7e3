"""Finds the last place in a log that a person's own pattern matches.

The pattern may take for ever on a log that an experiment shapes, and nothing interrupts Python's `re`: so it is matched
in a process of its own, with a time limit. Stdlib only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import deque
from pathlib import Path

import swarm

SECONDS = 60.0  # CPU time is less; a loaded machine starts processes late


def last_match(pattern: str, text: str) -> str | None:
    """What the pattern's group holds at its last match; None without one. TimeoutError where that takes too long."""
    environment = os.environ | {"PYTHONPATH": str(Path(swarm.__file__).parents[1])}
    try:
        done = subprocess.run(
            [sys.executable, "-S", "-P", "-m", "swarm.execution.reading.log_pattern", pattern],
            input=text.encode(), capture_output=True, timeout=SECONDS, check=True, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"it took more than {SECONDS:.0f} s on this log") from error
    return done.stdout.decode(errors="replace")[1:] if done.stdout else None


def main() -> None:
    matches = re.finditer(sys.argv[1], sys.stdin.buffer.read().decode(errors="replace"), re.MULTILINE)
    if last := next(iter(deque(matches, maxlen=1)), None):
        sys.stdout.buffer.write(b"=" + (last[1] or "")[:400].encode(errors="replace"))


if __name__ == "__main__":
    main()
