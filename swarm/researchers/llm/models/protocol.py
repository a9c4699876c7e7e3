"""What a language model service is asked and gives: a conversation and tools go in, one Answer comes out.

Another service is one file beside this one and one line in swarm/researchers/registry.py. The file holds a `Service`,
and a subclass of `LanguageModel` (swarm/researchers/llm/researcher.py) that makes it and declares what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from swarm.researchers.llm.money import NOTHING, Usage


class Stop(StrEnum):
    """Why an answer ends."""

    END = "end"  # the model said, or called, all it wanted to
    CUT = "cut"  # it became too long
    REFUSED = "refused"  # the model declines to answer


@dataclass(frozen=True, slots=True)
class Tool:
    """What a model may call. `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a tool. `arguments` are what the model wrote, well-formed or not."""

    id: str
    name: str
    arguments: object


@dataclass(frozen=True, slots=True)
class Answer:
    """One message of the model."""

    text: str
    calls: tuple[Call, ...]
    stop: Stop
    usage: Usage
    fault: str = ""  # where it cannot be read: why, for the model
    refusal: str = ""  # where it declines: why, as far as the service says
    native: Any = None  # the service's own form of the message, which it alone reads when the conversation goes on


@dataclass(frozen=True, slots=True)
class Text:
    """Something to read. What is `shared` begins many conversations, so a service may keep it for longer."""

    text: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What came of the call with this id."""

    call: str
    text: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What the model reads next: the results of all its last calls, in their order, and then texts."""

    parts: tuple[Text | Result, ...]

    def and_then(self, text: str) -> Question:
        return replace(self, parts=(*self.parts, Text(text)))


Message = Question | Answer


@dataclass(frozen=True, slots=True)
class Request:
    """All that one answer is made from. `system` is shared by many conversations; `messages` end with a Question."""

    system: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]


class Interrupted(Exception):
    """An answer began to arrive and broke off. `usage` is what it had cost by then, as far as the service told."""

    def __init__(self, usage: Usage) -> None:
        super().__init__("the answer broke off")
        self.usage = usage


class Failed(Exception):
    """There is no answer. The service is best not asked again for `pause` seconds. `usage` is what it cost all the
    same; None: nobody knows, and it may have been the worst case."""

    def __init__(self, reason: str, pause: float, usage: Usage | None = NOTHING) -> None:
        super().__init__(reason)
        self.reason, self.pause, self.usage = reason, pause, usage


class Service(Protocol):
    """One model of one service, asked with one key, of which nothing that it gives or raises holds a trace."""

    model: str

    async def ask(self, request: Request, stream: bool) -> Answer:
        """The model's next message, as a `stream` or at once. Raises Interrupted or Failed, or is timed out."""
        ...

    def worst(self, request: Request) -> Usage:
        """The most tokens that an answer to this can take."""
        ...

    def cost(self, usage: Usage) -> float:
        """USD for so many tokens."""
        ...

    def hidden(self, text: str) -> str:
        """The text without the key."""
        ...
