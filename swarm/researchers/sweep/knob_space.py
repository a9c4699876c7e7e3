"""The knobs of one state of the code: ideas are made from them, and put into the code."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from swarm.records import Edit, Finding, Idea, Source
from swarm.researchers.sweep.constraints import is_valid, settle
from swarm.researchers.sweep.knobs import Knob, Value, is_knob, knobs_of, show, turned
from swarm.researchers.sweep.literals import Place
from swarm.researchers.sweep.patches import Patch
from swarm.researchers.sweep.playbook import rule_of
from swarm.researchers.sweep.rules import Rule
from swarm.researchers.sweep.structures import BY_TITLE, PATCHES

_GATHERED = 5  # constants in a file: whoever wrote it has put there what is worth tuning, ...
_BESIDE = 0.3  # ... and other numbers matter less

Key = frozenset[tuple[str, Value]] | str

STRUCTURE = "structure"  # among an idea's knobs: the title of a structural patch that is made with them


@dataclass(frozen=True, slots=True)
class KnobSpace:
    """All editable files, with the knobs in them for one device: their values, and the rules of those that may move."""

    source: Source
    device: str
    found: Mapping[str, Knob]
    knobs: Mapping[str, Value] = field(init=False)
    rules: Mapping[str, Rule] = field(init=False)

    def __post_init__(self) -> None:
        rules = {name: rule for name, knob in self.found.items() if (rule := rule_of(knob))}
        gathered = Counter(self.found[name].path for name in rules if self.found[name].literal.place is Place.CONSTANT)
        for name, rule in rules.items():
            knob = self.found[name]
            if knob.literal.place is not Place.CONSTANT and gathered[knob.path] >= _GATHERED:
                rule = rules[name] = replace(rule, weight=_BESIDE * rule.weight)
        # Of many alike (a table of recipes, the same argument of every layer) often only one matters.
        alike = Counter(map(_kind, rules))
        for name, rule in rules.items():
            rules[name] = replace(rule, weight=rule.weight / max(1, alike[_kind(name)] - 1))
        object.__setattr__(self, "knobs", {name: knob.value for name, knob in self.found.items()})
        object.__setattr__(self, "rules", rules)

    def turn(self, changes: Mapping[str, Value], why: str) -> Iterator[Idea]:
        """The idea of changing these knobs (and those that must move along), unless no valid model comes of it."""
        same_kind = all(type(self.knobs[name]) is type(value) for name, value in changes.items())
        settled = settle(self.knobs, changes) if same_kind else None
        if settled and next(iter(changes)) in settled and self._stay_knobs(settled):
            rule = self.rules.get(next(iter(changes)))
            moves = [f"{self.shown(name)} {show(self.knobs[name])} -> {show(value)}" for name, value in settled.items()]
            yield Idea(", ".join(moves), why, rule.category if rule else "other", settled)

    def _stay_knobs(self, changes: Mapping[str, Value]) -> bool:
        """Whether these values would be found again: a factor of 1.0 is no knob any more."""
        literals = (replace(self.found[name].literal, value=value) for name, value in changes.items())
        return all(map(is_knob, literals))

    def shown(self, name: str) -> str:
        """A knob's name in a title: with its file where there are several."""
        path, _, own = name.rpartition(":")
        return f"{own} in {path}" if path and len(self.source.files) > 1 else own

    def patches(self) -> Iterator[Patch]:
        """The structural patches that have a place in this code."""
        texts = [text for path, text in self._texts() if path.endswith(".py")]
        yield from (patch for patch in PATCHES if any(map(patch.fits, texts)))

    def patch(self, title: str) -> Iterator[Idea]:
        """The idea of a structural patch, unless it finds no place in this code."""
        patch = BY_TITLE[title]
        if self._patched(patch):
            yield Idea(patch.title, patch.rationale, patch.category)

    def edit(self, idea: Idea) -> Edit | None:
        """The files with the idea in them; None where it has no place, changes nothing or breaks the model."""
        if not idea.knobs:
            patch = BY_TITLE.get(idea.title)
            return self._patched(patch) if patch else None
        after = {**self.knobs, **idea.knobs}
        if after.keys() != self.knobs.keys() or after == self.knobs or not is_valid(after):
            return None
        return self.set(idea.knobs)

    def set(self, changes: Mapping[str, Value]) -> Edit:
        """The files with these knobs at new values, whatever comes of it."""
        return Edit(turned(self.source, self.found, changes))

    def places(self) -> dict[str, int]:
        """How many knobs may be turned, by file."""
        return dict(Counter(self.found[name].path for name in self.rules))

    def is_open(self) -> bool:
        """Whether there is anything to propose."""
        return bool(self.rules) or next(self.patches(), None) is not None

    def categories(self) -> tuple[str, ...]:
        """What the knobs and patches of this code are about, the best and most first."""
        worth = Counter[str]()
        for rule in self.rules.values():
            worth[rule.category] += rule.weight  # type: ignore[assignment]
        for patch in self.patches():
            worth[patch.category] += patch.weight  # type: ignore[assignment]
        return tuple(category for category, _ in worth.most_common())

    def _patched(self, patch: Patch) -> Edit | None:
        for path, text in self._texts():
            if path.endswith(".py") and (changed := patch.apply(text)) is not None:
                return Edit({path: changed.encode(errors="surrogateescape")})
        return None

    def _texts(self) -> Iterator[tuple[str, str]]:
        """The files with their paths, in the order of these."""
        return ((path, content.decode(errors="surrogateescape")) for path, content in sorted(self.source.files.items()))


def open_knob_space(source: Source, device: str) -> KnobSpace | None:
    """The knobs of all editable files for `device`; None where there are none."""
    return _space(tuple(sorted(source.files.items())), device)


@functools.lru_cache(maxsize=8)  # an agent asks for its parent's at every step of an idea
def _space(files: tuple[tuple[str, bytes], ...], device: str) -> KnobSpace | None:
    source = Source(dict(files))
    found = knobs_of(source, device)
    return KnobSpace(source, device, found) if found else None


def _kind(name: str) -> tuple[str, str]:
    """What is alike in the names of numbers that say the same of different things: the first part and the last."""
    first, *_, last = re.sub(r"\[\d+\]|#\d+$", "", name).split(".") if name.count(".") > 1 else (name, name)
    return first, re.sub(r"#\d+$", "", last)


def key_of(idea: Idea | Finding) -> Key:
    """What makes two ideas the same: the knobs' new values, or else the title."""
    return frozenset(idea.knobs.items()) if idea.knobs else idea.title
