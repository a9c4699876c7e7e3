"""Which number is the metric, and whether lower or higher is better."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from swarm.project.autoresearch_files import JOURNAL
from swarm.project.code import printed, printed_within
from swarm.project.directions import HIGHER, LOWER, direction_of, is_time_or_resource, words_of
from swarm.project.found import Found, Question
from swarm.project.running import closure, named_by
from swarm.project.sight import Sight
from swarm.project.texts import goal_directions, said_around, said_of

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
    wanted = {name for said in sight.texts for name in said.goals}
    if len(goals := [item for item in named if item.value in wanted]) == 1:
        return goals[0]._replace(origin=f"{goals[0].origin}, to be improved")
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
    root, edited = sight.root, sight.edited_files()
    first = named_by(root, sight.paths("command")) or edited
    rest = [path for path in closure(root, [*first, *edited, *sight.paths("fixed")]) if path not in first]
    shown: list[Found] = []
    for paths in (first, rest):
        items = [(item, path) for path in paths for item in printed(root / path)]
        if any(item.name == USUAL for item, _ in items):
            return Found(USUAL, next(f"printed by {path}" for item, path in items if item.name == USUAL))
        marked = any(item.marked for item, _ in items)
        found = {item.name: f"printed by {path}" for item, path in reversed(items) if item.marked or not marked}
        found = [Found(name, origin) for name, origin in reversed(found.items()) if may_be_metric(name)]
        within = _within(root, paths) if paths is first and not marked else []
        best = found if marked else _best(found) or _held_out(within)
        if len(best) == 1 and (marked or direction_of(best[0].value)):
            others = [item for item in within if item.value != best[0].value]
            return best[0] if marked or not _contradicted(sight, best[0]) else _several([*best, *others])
        if told := _told(sight, [*found, *within]):
            return told[0] if len(told) == 1 else _several(told)
        if best:
            return _several(best)
        shown += found
    where = ", ".join(first[:3]) or "the code"
    names = f" (it prints {', '.join(item.value for item in shown[:4])})" if shown else ""
    return Question("metric", f"{where} prints no metric that is known{names}", tuple(shown))


def _contradicted(sight: Sight, found: Found) -> bool:
    """Whether the texts about the research speak only of the other direction, as of a number in words of their own."""
    wanted = {direction for said in sight.texts if said.leads for direction in goal_directions(said.text)}
    return bool(wanted) and direction_of(found.value) not in wanted


def _within(root: Path, paths: Iterable[str]) -> list[Found]:
    """The numbers within a line, asked where no line begins with one."""
    items = ((item.name, path) for path in paths for item in printed_within(root / path))
    return [Found(name, f"printed by {path}") for name, path in items if may_be_metric(name)]


def _told(sight: Sight, printed: list[Found]) -> list[Found]:
    """Those of which a text says which way is better."""
    told = {name for said in sight.texts for name in said.better}
    return list({item.value: item for item in reversed(printed) if item.value in told}.values())[::-1]


def _best(found: Iterable[Found]) -> list[Found]:
    """Those that may be the metric: held-out ones alone, else of a known direction or called a score."""
    known = [item for item in found if direction_of(item.value)]
    rivals = [item for item in found if {*words_of(item.value)} & _UNSETTLED and not direction_of(item.value)]
    return _held_out(known) or [*known, *rivals]


def _held_out(found: Iterable[Found]) -> list[Found]:
    return [item for item in found if direction_of(item.value) and {*words_of(item.value)} & _HELD_OUT]


def _several(rivals: list[Found]) -> Question:
    names = ", ".join(item.value for item in rivals[:6])
    where = rivals[0].origin.removeprefix("printed by ")
    if len(rivals) == 1:
        return Question("metric", f"{where} prints no metric that is known (it prints {names})", tuple(rivals))
    return Question("metric", f"{where} prints several numbers that may be the metric: {names}", tuple(rivals))


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
    if not votes and {*words_of(metric)} & _UNSETTLED:  # the one number of a text that goes one way only
        leading = [said for said in sight.texts if said.leads]
        ways = {direction: said.path for said in leading for direction in goal_directions(said.text)}
        votes = {direction: f"{path} says so" for direction, path in ways.items()} if len(ways) == 1 else {}
    options = tuple(Found(direction, origin) for direction, origin in votes.items())
    if len(options) == 1:
        return options[0]
    if options:
        told = " and ".join(f"{item.value} ({item.origin})" for item in options)
        return Question("direction", f"whether lower or higher {metric} is better is said in two ways: {told}", options)
    both = (Found(LOWER, "one of two"), Found(HIGHER, "one of two"))
    text = f"nothing says whether lower or higher {metric} is better"
    return Question("direction", text, both, guessable=False)
