"""Prior art: what is known elsewhere about ideas like ours. It orders what is tried, and is never evidence.

A file of JSON lines, one record each:

    {"what": "halve the batch", "category": "batch", "gain": 0.0119, "effect": "measured", "source": "...",
     "turn": {"total_batch_size": "down"}, "terms": ["..."], "metric": "val_bpb", "device": "cuda", "scale": "...",
     "hardware": "...", "where": "..."}

`what` and `source` must be there. `gain` is in the metric's units, above 0 is better; without it the effect is not
known, and with `"effect": "estimated"` the source measured none: somebody reckoned it. An idea is like it where it
turns a knob the same way (`up`, `down`, `any`), or where each of its `terms` is found in the idea's words: one of those
between `|`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from swarm.errors import UsageError
from swarm.named_file import read_named
from swarm.project.knob_names import canonical
from swarm.records import Idea, Prior
from swarm.text import one_line, printable, read_text

SHIPPED = Path(__file__).parent / "prior_art"
FOLDER = "prior_art"  # of a project's own, in its folder; what was imported is below .swarm
MOST = 500  # records of one swarm
LONGEST = 300  # characters of one text
WAYS = ("up", "down", "any")
EFFECTS = ("measured", "estimated")  # how the gain is known; the first where a record does not say

_TURN = re.compile(r"(?P<name>[\w.:/\[\]-]+) (?P<old>\S+) -> (?P<new>\S+)")
_POWER = re.compile(r"(\d{1,4})(?:\*\*|\^)(\d{1,3})")


class Read(Struct, frozen=True):
    """What a file holds: its records, and for each line that is none the reason."""

    records: tuple[Prior, ...]
    aside: tuple[str, ...] = field(default=())


def read_prior(content: bytes) -> Read:
    """The records of a file; nothing in it raises."""
    records, aside = [], []
    for number, line in enumerate(read_text(content).text.splitlines(), 1):
        if line.strip():
            try:
                records.append(_record(json.loads(line)))
            except (ValueError, RecursionError) as error:
                aside.append(f"line {number}: {one_line(printable(str(error)))[:200]}")
    return Read(tuple(records), tuple(aside))


def prior_art(root: Path, metric: str) -> tuple[Prior, ...]:
    """What is known for a project of this metric: what ships, then the project's own, then what was imported."""
    folders = (SHIPPED, root / FOLDER, root / ".swarm" / FOLDER)
    files = [file for folder in folders for file in sorted(folder.glob("*.jsonl")) if file.is_file()]
    found = dict.fromkeys(
        record for file in files for record in read_prior(read_named(file)).records if record.metric in ("", metric)
    )
    return tuple(found)[:MOST]


def stored(settings: Mapping[str, Any]) -> tuple[Prior, ...]:
    """What a swarm was founded with, from its settings in the ledger."""
    rows = settings.get("prior") or ()
    return tuple(Prior(**{**row, "terms": tuple(row["terms"]), "turn": tuple(map(tuple, row["turn"]))}) for row in rows)


def keep_imported(root: Path, name: str, content: bytes) -> Read:
    """Puts a file beside those imported before, in place of one of its name. UsageError where it holds nothing."""
    read = some_prior(name, content)
    folder = root / ".swarm" / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{Path(name).stem}.jsonl").write_bytes(content)
    return read


def some_prior(name: str, content: bytes) -> Read:
    """The records of a file that a person named; UsageError where there is none."""
    read = read_prior(content)
    if not read.records:
        why = f" ({'; '.join(read.aside[:3])})" if read.aside else ""
        raise UsageError(
            f"{name} holds no record of prior art{why}; each is a JSON object with `what` and `source`;"
            " nothing was imported"
        )
    return read


def _record(value: Any) -> Prior:
    """ValueError where it is none."""
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    what, source = _text(value, "what"), _text(value, "source")
    if not what or not source:
        raise ValueError("`what` and `source` must be given")
    gain = value.get("gain")
    if gain is not None and (isinstance(gain, bool) or not isinstance(gain, (int, float)) or not math.isfinite(gain)):
        raise ValueError("`gain` must be a number")
    effect = value.get("effect") or EFFECTS[0]
    if effect not in EFFECTS:
        raise ValueError(f"`effect` must be {' or '.join(EFFECTS)}")
    turn, terms = value.get("turn") or {}, value.get("terms") or []
    if not isinstance(turn, dict) or not set(map(str, turn.values())) <= set(WAYS):
        raise ValueError(f"`turn` must be an object of knobs and {', '.join(WAYS)}")
    if not isinstance(terms, list) or not all(isinstance(term, str) and term.strip() for term in terms):
        raise ValueError("`terms` must be a list of texts")
    return Prior(
        what=what,
        source=source,
        category=_text(value, "category") or "other",
        gain=None if gain is None else float(gain),
        estimated=effect == "estimated",
        terms=tuple(term[:LONGEST].lower() for term in terms[:8]),
        turn=tuple((canonical(str(name)[:80]), str(way)) for name, way in list(turn.items())[:8]),
        **{name: _text(value, name) for name in ("metric", "device", "scale", "hardware", "where")},
    )


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value.get(name)
    return one_line(printable(text))[:LONGEST] if isinstance(text, str) else ""


# -- which idea is like which record -------------------------------------------------------------------------------


def like(idea: Idea, prior: Sequence[Prior]) -> tuple[Prior, ...]:
    """The records that the idea is like."""
    words = f"{idea.title} {' '.join(idea.knobs)}".lower()
    ways = dict(_turns(idea))
    return tuple(record for record in prior if _is_like(record, words, ways))


def weigh(idea: Idea, prior: Sequence[Prior]) -> tuple[str, Prior | None]:
    """What prior art says of the idea, and the record that says most of it.

    `known` where it paid somewhere, `known-negative` where it only lost or did nothing, else `new`; "" where there is
    no prior art to hold it against. A record that was measured says more than any that was estimated, then the one with
    the largest effect.
    """
    found = like(idea, prior)
    if not found:
        return "new" if prior else "", None
    paid = [record for record in found if _paid(record)]
    most = max(paid or found, key=lambda record: (not record.estimated, abs(record.gain or 0.0)))
    return "known" if paid else "known-negative", most


def _paid(record: Prior) -> bool:
    return record.gain is None or record.gain > 0


def _is_like(record: Prior, words: str, ways: Mapping[str, str]) -> bool:
    turned = bool(record.turn) and all(
        (way == "any" and name in ways) or ways.get(name) == way for name, way in record.turn
    )
    said = bool(record.terms) and all(any(_says(words, term) for term in terms.split("|")) for terms in record.terms)
    return turned or said


def _says(words: str, term: str) -> bool:
    """Whether the term begins a word there."""
    place = words.find(term)
    return place >= 0 and (place == 0 or not words[place - 1].isalnum() or not term[:1].isalnum())


def _turns(idea: Idea) -> Iterable[tuple[str, str]]:
    """Each knob that the title turns, by its plain name, and which way."""
    for found in _TURN.finditer(idea.title):
        old, new = _number(found["old"]), _number(found["new"])
        if old is not None and new is not None and old != new:
            name = found["name"]
            yield canonical(name.rpartition(":")[2].rpartition(".")[2]), "up" if new > old else "down"


def _number(text: str) -> float | None:
    text = text.rstrip(",;")
    if power := _POWER.fullmatch(text):
        return float(power[1]) ** min(int(power[2]), 200) if float(power[1]) < 1000 else None
    try:
        number = float(text.replace("_", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
