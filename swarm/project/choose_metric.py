"""Which number is the metric, and whether lower or higher is better."""

from __future__ import annotations

from collections.abc import Iterable

from swarm.project.autoresearch_files import JOURNAL
from swarm.project.code import printed
from swarm.project.directions import HIGHER, LOWER, direction_of, is_time_or_resource, words_of
from swarm.project.found import Found, Question
from swarm.project.running import closure, named_by
from swarm.project.sight import Sight
from swarm.project.texts import said_around, said_of

USUAL = "val_bpb"
BY_NAME = "by the metric's name"

_HELD_OUT = {"val", "valid", "validation", "test", "eval", "dev", "heldout", "holdout", "oos"}
_ASIDE = {"training", "train", "total", "startup", "peak", "num", "step", "epoch", "budget", "lr", "elapsed"}
_UNSETTLED = {"score", "fitness", "objective", "composite", "metric", "result", "ratio"}  # may well be the metric


def metric_of(sight: Sight) -> Found | Question | None:
    """The one that texts name; else the one that the code prints, once it is known what runs."""
    named = sight.named_metrics
    if len(named) == 1:
        return named[0]
    if named:
        told = ", ".join(f"{item.value} ({item.origin.removeprefix('named by ')})" for item in named)
        return Question("metric", f"texts name several metrics: {told}", tuple(named))
    return _printed_metric(sight) if sight.paths("command") or sight.paths("editable") else None


def may_be_metric(name: str) -> bool:
    """Whether a printed number may be what is optimised: no time, no resource, no count of steps."""
    words = {*words_of(name)}
    return not is_time_or_resource(name) and (not words & _ASIDE or bool(words & _UNSETTLED))


def _printed_metric(sight: Sight) -> Found | Question:
    """The usual name wherever it is printed; else the only one that the command's own files print, or what they use."""
    root, editable = sight.root, sight.paths("editable")
    first = named_by(root, sight.paths("command")) or [path for path in editable if (root / path).is_file()]
    rest = [path for path in closure(root, [*first, *editable, *sight.paths("fixed")]) if path not in first]
    shown: list[Found] = []
    for paths in (first, rest):
        items = [(item, path) for path in paths for item in printed(root / path)]
        if any(item.name == USUAL for item, _ in items):
            return Found(USUAL, next(f"printed by {path}" for item, path in items if item.name == USUAL))
        marked = any(item.marked for item, _ in items)
        found = {item.name: f"printed by {path}" for item, path in reversed(items) if item.marked or not marked}
        found = [Found(name, origin) for name, origin in reversed(found.items()) if may_be_metric(name)]
        best = found if marked else _best(found)
        if best:
            return _only(best, marked)
        shown += found
    where = ", ".join(first[:3]) or "the code"
    names = f" (it prints {', '.join(item.value for item in shown[:4])})" if shown else ""
    return Question("metric", f"{where} prints no metric that is known{names}", tuple(shown))


def _best(found: Iterable[Found]) -> list[Found]:
    """Those that may be the metric: held-out ones alone, else of a known direction or called a score."""
    known = [item for item in found if direction_of(item.value)]
    held_out = [item for item in known if {*words_of(item.value)} & _HELD_OUT]
    rivals = [item for item in found if {*words_of(item.value)} & _UNSETTLED and not direction_of(item.value)]
    return held_out or [*known, *rivals]


def _only(best: list[Found], marked: bool) -> Found | Question:
    if len(best) == 1 and (marked or direction_of(best[0].value)):
        return best[0]
    names = ", ".join(item.value for item in best[:6])
    where = best[0].origin.removeprefix("printed by ")
    if len(best) == 1:
        return Question("metric", f"{where} prints no metric that is known (it prints {names})", tuple(best))
    return Question("metric", f"{where} prints several numbers that may be the metric: {names}", tuple(best))


def direction_for(sight: Sight) -> Found | Question | None:
    """As the session's journal, the texts and the metric's name say; a question where they do not say one thing."""
    metric = sight.value("metric")
    if not metric:
        return None
    votes: dict[str, str] = {}
    if direction := direction_of(metric):
        votes[direction] = BY_NAME
    if sight.segment and sight.segment.metric == metric and sight.segment.direction:
        votes.setdefault(sight.segment.direction, f"{JOURNAL} says so")
    for says in (said_of, said_around):  # what is said of other numbers nearby counts only where nothing else does
        for said in sight.texts if not votes or says is said_of else ():
            for direction in sorted(says(said.text, metric)):
                votes.setdefault(direction, f"{said.path} says so")
    options = tuple(Found(direction, origin) for direction, origin in votes.items())
    if len(options) == 1:
        return options[0]
    if options:
        told = " and ".join(f"{item.value} ({item.origin})" for item in options)
        return Question("direction", f"whether lower or higher {metric} is better is said in two ways: {told}", options)
    both = (Found(LOWER, "one of two"), Found(HIGHER, "one of two"))
    text = f"nothing says whether lower or higher {metric} is better"
    return Question("direction", text, both, guessable=False)
