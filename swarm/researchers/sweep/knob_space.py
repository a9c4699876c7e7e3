"""The knobs of one state of the code: ideas are made from them, and put into the code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from swarm.records import Finding, Idea, Source
from swarm.researchers.sweep.constraints import is_valid, settle
from swarm.researchers.sweep.knobs import Value, read_knobs, show, write_knobs
from swarm.researchers.sweep.playbook import rule_for
from swarm.researchers.sweep.structures import BY_TITLE

Key = frozenset[tuple[str, Value]] | str

STRUCTURE = "structure"  # among an idea's knobs: the title of a structural patch that is made with them


@dataclass(frozen=True, slots=True)
class KnobSpace:
    """The editable file that has knobs, its text, and the knobs' values for one device."""

    path: str
    text: str
    knobs: Mapping[str, Value]
    device: str

    def turn(self, changes: Mapping[str, Value], why: str) -> Iterator[Idea]:
        """The idea of changing these knobs (and those that must move along), unless no valid model comes of it."""
        same_kind = all(type(self.knobs[name]) is type(value) for name, value in changes.items())
        settled = settle(self.knobs, changes) if same_kind else None
        if settled and next(iter(changes)) in settled:
            rule = rule_for(next(iter(changes)), next(iter(changes.values())))
            moves = [f"{name} {show(self.knobs[name])} -> {show(value)}" for name, value in settled.items()]
            yield Idea(", ".join(moves), why, rule.category if rule else "other", settled)

    def patch(self, title: str) -> Iterator[Idea]:
        """The idea of a structural patch, unless it finds no place in this code."""
        patch = BY_TITLE[title]
        if patch.apply(self.text) is not None:
            yield Idea(patch.title, patch.rationale, patch.category)

    def edit(self, idea: Idea) -> str | None:
        """The file's text with the idea in it; None where it has no place, changes nothing or breaks the model."""
        if not idea.knobs:
            patch = BY_TITLE.get(idea.title)
            return patch.apply(self.text) if patch else None
        turned = {**self.knobs, **idea.knobs}
        if turned.keys() != self.knobs.keys() or turned == self.knobs or not is_valid(turned):
            return None
        return write_knobs(self.text, self.device, idea.knobs)


def open_knob_space(source: Source, device: str) -> KnobSpace | None:
    """The first editable file that has knobs for `device`; None where none has."""
    for path, content in sorted(source.files.items()):
        if path.endswith(".py"):
            text = content.decode(errors="replace")
            if knobs := read_knobs(text, device):
                return KnobSpace(path, text, knobs, device)
    return None


def key_of(idea: Idea | Finding) -> Key:
    """What makes two ideas the same: the knobs' new values, or else the title."""
    return frozenset(idea.knobs.items()) if idea.knobs else idea.title
