"""The outcomes of a study on disk, one line for each swarm, so that the study can be made in pieces."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import swarm
from swarm import foreign
from swarm.errors import UsageError
from swarm.lab.simulation.simulated_swarm import Outcome, SimulatedSwarm

DECIDING = ("judge", "board", "agent", "ledger", "novelty", "lab/simulation")  # rooms whose code decides what comes out


class Store:
    """The outcomes in a file, which is made with the first of them. Those of other code are neither read nor lost."""

    def __init__(self, path: Path):
        self._path = path
        self.others = 0  # lines that other code, or nobody knows what, wrote
        self._cut_off = False  # the last line has no end
        self._known = self._read()

    def of(self, simulated: SimulatedSwarm) -> Outcome | None:
        """What came of that swarm; None where it was not simulated yet by this code."""
        return self._known.get(_key(simulated))

    def add(self, simulated: SimulatedSwarm, outcome: Outcome) -> None:
        """Writes it down at once: whatever ends the study, it is kept."""
        line = {"code": code(), "swarm": _plain(simulated), "outcome": dataclasses.asdict(outcome)}
        self._known[_key(simulated)] = outcome
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" * self._cut_off + json.dumps(line) + "\n")
                self._cut_off = False
        except OSError as error:
            raise UsageError(f"--resume-study {self._path} cannot be written: {error.strerror}") from error

    def _read(self) -> dict[str, Outcome]:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace") if self._path.exists() else ""
        except (OSError, ValueError) as error:
            raise UsageError(f"--resume-study {self._path} cannot be read: {error}") from error
        self._cut_off = bool(text) and not text.endswith("\n")
        known: dict[str, Outcome] = {}
        for raw in filter(None, text.split("\n")):
            found = _parsed(raw)
            if found is None:
                self.others += 1
            else:
                known[found[0]] = found[1]
        return known


def _parsed(raw: str) -> tuple[str, Outcome] | None:
    """The swarm's key and its outcome; None for a line of other code, or one that was cut off."""
    line = foreign.parse_object(raw)
    outcome = line.get("outcome")
    if line.get("code") != code() or not isinstance(outcome, dict):
        return None
    if outcome.keys() != {field.name for field in dataclasses.fields(Outcome)}:
        return None
    return json.dumps(line.get("swarm"), sort_keys=True), Outcome(**outcome | _tuples(outcome))


def _tuples(outcome: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "progress": tuple((hour, gain) for hour, gain in outcome["progress"]),
        "judged": tuple(outcome["judged"]),
    }


def _key(simulated: SimulatedSwarm) -> str:
    return json.dumps(_plain(simulated), sort_keys=True)


def _plain(simulated: SimulatedSwarm) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(simulated)))


@functools.cache
def code() -> str:
    """Which code decides what comes out, as a short hash of its files."""
    root, digest = Path(swarm.__file__).parent, hashlib.sha256()
    for room in DECIDING:
        for path in sorted((root / room).rglob("*.py")):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
