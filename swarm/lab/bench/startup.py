"""How long verbs take to start and answer, as multiples of a bare Python's start in the same sitting.

`python -m swarm bench --startup` asks it of the newest swarm of a folder, which is left as it is, but for
its report, which is written anew. Every verb is called once before, so that its modules stand compiled beside them,
as they do for whoever calls it a second time.
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
    for verb in AIMS:
        _seconds(_words(verb, root))
    for _ in range(rounds):
        for verb, pairs in found.items():
            bare = _seconds(("-c", "pass"))
            pairs.append((bare, _seconds(_words(verb, root))))
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


def _words(verb: str, root: Path) -> tuple[str, ...]:
    name, *flags = verb.split()
    return "-m", "swarm", name, "-C", str(root), *flags


def _seconds(words: Sequence[str]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SwarmError(f"{' '.join(words)} failed: {done.stderr.strip()[-300:]}")
    return time.perf_counter() - began
