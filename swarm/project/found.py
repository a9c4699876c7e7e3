"""What looking at a repository gives: values with their origin, and questions where the repository leaves a choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Found(NamedTuple):
    """A key's value and where in the repository it was found."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Question:
    """A key that the repository does not settle: one line for people, and the values that it may have, best first.

    Where nothing speaks for one of them more than for another, it is not `guessable`.
    """

    key: str
    text: str
    candidates: tuple[Found, ...] = ()
    guessable: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """The keys of a Project that a repository shows, and the questions that it leaves open."""

    found: Mapping[str, Found]
    questions: tuple[Question, ...] = ()
