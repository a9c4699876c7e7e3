"""Who answers what a repository leaves open: a guess, said aloud, a person in a terminal, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from swarm.errors import UsageError

if TYPE_CHECKING:
    from swarm.project.found import Found, Question

SETTINGS = "swarm.toml"
LISTED = 9  # candidates and names that are shown

Answer = Callable[["Question"], "Found"]


def guess(question: Question) -> Found:
    """The best candidate, said aloud. UsageError where there is none: a wrong coin flip would lose a night."""
    if not question.candidates or not question.guessable:
        from swarm.project.project import answer_line

        others = [shown(found.value) for found in question.candidates[1:LISTED]]
        also = f" (or {', '.join(others)})" if others and question.key != "direction" else ""
        raise UsageError(
            f"{question.text}; nothing can be guessed: say `{answer_line(question)}`{also} in a {SETTINGS}"
        )
    best = question.candidates[0]
    print(f"guessed: {question.key} = {shown(best.value)} ({best.origin})")
    return best._replace(origin=f"guessed: {best.origin}")


def refuse(question: Question) -> Found:
    candidates = ", ".join(f"{shown(found.value)} ({found.origin})" for found in question.candidates[:LISTED])
    there = f": {candidates}" if candidates else ""
    raise UsageError(f"{question.text}{there}; answer in a terminal, with --yes, or as `{question.key}` in {SETTINGS}")


def ask(question: Question) -> Found:
    """A person's choice: a number of the list, or a value of their own."""
    from swarm.project.found import Found
    from swarm.project.project import read_answer

    print(f"\n{question.text}")
    listed = question.candidates[:LISTED]
    for number, found in enumerate(listed, 1):
        print(f"  {number}  {shown(found.value)}  ({found.origin})")
    while True:
        typed = _typed(f"{question.key}{f' [1 to {len(listed)}, or type it]' if listed else ''}: ")
        if typed.isdigit() and 1 <= int(typed) <= len(listed):
            return listed[int(typed) - 1]._replace(origin="chosen")
        try:
            if typed:
                return Found(read_answer(question.key, typed), "typed")
        except UsageError as error:
            print(error)


def _typed(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError as error:
        raise UsageError("no answer was given, and nothing was written") from error


def shown(value: object) -> str:
    match value:
        case str():
            return value
        case float():
            return f"{value:g}"
        case Sequence():
            return " ".join(map(str, value))
    return str(value)
