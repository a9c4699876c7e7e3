"""How long verbs take to start and answer, as multiples of a bare Python's start in the same sitting.

`python -m swarm bench --startup` asks it of the newest swarm of a folder, which is left as it is, but for
its report, which is written anew.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from swarm.errors import SwarmError

ROUNDS = 5
AIMS: Mapping[str, float] = {  # multiples of `python -c pass`, without the tables of a report
    "status": 6,
    "show baseline": 6,
    "watch --once": 6,
    "export --format csv": 12,
    "launch --dry-run --device cpu --trial off": 12,
    "report": 35,
}


def measure(root: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    """Each verb's ratio to a bare Python, which is started before each of them, and the aim: medians of ratios of
    neighbours, so that what else this machine does falls on both."""
    found: dict[str, list[tuple[float, float]]] = {verb: [] for verb in AIMS}
    for _ in range(rounds):
        for verb, pairs in found.items():
            bare = _seconds(("-c", "pass"))
            name, *flags = verb.split()
            pairs.append((bare, _seconds(("-m", "swarm", name, "-C", str(root), *flags))))
    return {
        "bare_seconds": statistics.median(bare for pairs in found.values() for bare, _ in pairs),
        "verbs": {
            verb: {
                "ratio": statistics.median(own / bare for bare, own in pairs),
                "seconds": statistics.median(own for _, own in pairs),
                "aim": AIMS[verb],
            }
            for verb, pairs in found.items()
        },
    }


def startup_table(result: Mapping[str, Any]) -> Table:
    """The same for people."""
    table = Table(title=f"python -c pass: {1000 * result['bare_seconds']:.0f} ms", box=None, title_justify="left")
    for heading in ("verb", "times bare Python", "aim", "seconds"):
        table.add_column(heading, justify="left" if heading == "verb" else "right")
    for verb, told in result["verbs"].items():
        table.add_row(verb, f"{told['ratio']:.1f}", f"{told['aim']:g}", f"{told['seconds']:.2f}")
    return table


def _seconds(words: Sequence[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *words], env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SwarmError(f"{' '.join(words)} failed: {done.stderr.strip()[-300:]}")
    return time.perf_counter() - began
