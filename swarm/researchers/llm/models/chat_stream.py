"""An answer of Chat Completions as it comes in pieces, whoever sends them: nothing in them raises."""

from __future__ import annotations

from typing import Any

from swarm.researchers.llm.money import Usage

Body = dict[str, Any]


class Stream:
    """Puts the pieces together. `ended` once the service said why the answer ends; `usage` once it told that."""

    def __init__(self) -> None:
        self.message: Body = {}
        self.usage: Usage | None = None
        self._calls: list[Body] = []
        self._places: dict[Any, int] = {}  # by the index that the service gives: which call grows

    @property
    def ended(self) -> bool:
        return bool(self.message.get("finish_reason"))

    def take(self, chunk: object) -> None:
        """One piece."""
        record = _record(chunk)
        self.usage = usage_of(record.get("usage")) or self.usage
        choices = record.get("choices")
        for choice in map(_record, choices[:1] if isinstance(choices, list) else ()):
            delta = _record(choice.get("delta"))
            for name in ("content", "refusal", "reasoning_content"):
                if isinstance(piece := delta.get(name), str) and piece:
                    self.message[name] = self.message.get(name, "") + piece
            calls = delta.get("tool_calls")
            for call in map(_record, calls if isinstance(calls, list) else ()):
                self._grow(call)
            if isinstance(reason := choice.get("finish_reason"), str) and reason:
                self.message["finish_reason"] = reason

    def _grow(self, piece: Body) -> None:
        """A piece of a call. Some services give every call the same index, and another id."""
        index, identity, function = piece.get("index"), piece.get("id"), _record(piece.get("function"))
        place = self._places.get(index)
        fresh = place is None or (identity and self._calls[place]["id"] not in (None, identity))
        if fresh:
            self._calls.append({"id": None, "type": "function", "function": {"name": "", "arguments": ""}})
            self._places[index] = place = len(self._calls) - 1
            self.message["tool_calls"] = self._calls
        assert place is not None
        call = self._calls[place]
        call["id"] = identity or call["id"]
        for name in ("name", "arguments"):
            if isinstance(text := function.get(name), str):
                call["function"][name] += text


def usage_of(counts: object) -> Usage | None:
    """The tokens that a service counted; None where it did not."""
    record = _record(counts)
    prompt, output = _count(record, "prompt_tokens"), _count(record, "completion_tokens")
    if not prompt and not output:
        return None
    details = _record(record.get("prompt_tokens_details"))
    cached = min(_count(details, "cached_tokens"), prompt)
    written = min(_count(details, "cache_write_tokens"), prompt - cached)
    return Usage(input=prompt - cached - written, output=output, cache_read=cached, cache_write_5m=written)


def _count(record: Body, name: str) -> int:
    value = record.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _record(value: object) -> Body:
    return value if isinstance(value, dict) else {}
