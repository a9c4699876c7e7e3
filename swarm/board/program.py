"""program.md as one agent reads it: what is for all, and the sections that give this agent a role of its own.

    ## For gpu0, gpu1: architecture
    ## For sweep

Such a section is read by the agents it names, by their own name or their researcher's, and by nobody else. Where the
words after the colon are a category, these agents look at that one first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_HEADING = re.compile(r"## +for +(?P<names>[^:]+?) *(?:: *(?P<subject>.+?) *)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Role:
    """A section for some: whom it names, what its heading says after the colon (or ""), its whole text."""

    names: tuple[str, ...]
    subject: str
    text: str

    @property
    def called(self) -> str:
        return " or ".join(self.names)

    def is_for(self, *names: str) -> bool:
        return any(name.lower() in self.names for name in names)


def read(program: str, agent: str, researcher: str, categories: Collection[str]) -> tuple[str, str | None]:
    """What this agent reads of the program, and the category that its role names: the last one, or None."""
    parts = [part for part in _parts(program) if isinstance(part, str) or part.is_for(agent, researcher)]
    subjects = [part.subject.lower() for part in parts if isinstance(part, Role)]
    named = [subject for subject in subjects if subject in categories]
    return "".join(part if isinstance(part, str) else part.text for part in parts), named[-1] if named else None


def roles(program: str) -> tuple[Role, ...]:
    """The sections that are not for all."""
    return tuple(part for part in _parts(program) if isinstance(part, Role))


def _parts(program: str) -> Iterator[str | Role]:
    """The program in pieces, each from a heading of the first or second level to the next."""
    for piece in re.split(r"^(?=##? )", program, flags=re.MULTILINE):
        heading = _HEADING.fullmatch(piece.split("\n", 1)[0].strip())
        if heading is None:
            yield piece
        else:
            names = re.split(r"\s*,\s*|\s+and\s+", heading["names"].lower())
            yield Role(tuple(filter(None, names)), heading["subject"] or "", piece)
