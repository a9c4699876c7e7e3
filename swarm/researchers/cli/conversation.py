"""How an agent and a person share one conversation with a coding CLI: where it is, and whose turn it is.

Two file locks in the agent's folder, which the kernel gives back whatever happens to their holder. `turn.lock` is held
by whoever speaks. `person.lock` is held by a person from the moment they want to: the agent then begins no new turn.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from swarm import foreign
from swarm.filelock import take


@dataclass(frozen=True, slots=True)
class Talk:
    """How to take up a conversation: the command, to be run in `folder`."""

    command: tuple[str, ...]
    folder: str


class Conversation:
    """The agent's and the person's side of it, by the agent's folder."""

    def __init__(self, folder: Path) -> None:
        self._talk, self._turn, self._person = (folder / name for name in ("talk.json", "turn.lock", "person.lock"))

    def note(self, talk: Talk) -> None:
        """Where the conversation is now."""
        draft = self._talk.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(talk)))
        draft.replace(self._talk)

    def talk(self) -> Talk | None:
        """Where it is; None where there is none (yet)."""
        try:
            noted = foreign.parse_object(self._talk.read_bytes())
            return msgspec.convert(noted, Talk)
        except (OSError, msgspec.ValidationError):
            return None

    def is_wanted(self) -> bool:
        """Whether a person has it, or waits for it."""
        with _held(self._person) as free:
            return not free

    @contextlib.contextmanager
    def turn(self, begun: bool) -> Iterator[bool]:
        """The agent's turn: False where the conversation is a person's. What it has `begun` comes before a wish."""
        if not begun and self.is_wanted():
            yield False
            return
        with _held(self._turn) as free:
            yield free

    @contextlib.contextmanager
    def wish(self) -> Iterator[bool]:
        """A person wants the conversation until this ends: False where another person has it already."""
        with _held(self._person) as free:
            yield free

    @contextlib.contextmanager
    def taken(self) -> Iterator[bool]:
        """The person's turn: False while the agent still has its own."""
        with _held(self._turn) as free:
            yield free


@contextlib.contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Holds the lock for as long as this lasts, if it is free."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield take(file, path)
    finally:
        os.close(file)
