"""The events of `claude --output-format stream-json` as text for people: what it says, does, and costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from swarm import foreign

_LONGEST = 400  # characters of one argument or result that are shown
_FIRST = ("file_path", "pattern", "path", "command", "url", "query")  # arguments that say what a tool is used on


def readable(line: str, folder: str) -> Iterator[str]:
    """The lines that one event is worth; the line itself where it is no event. Paths in `folder` are shortened."""
    event = _event(line)
    if event is None:
        yield line
        return
    if event.get("type") == "result":
        yield _result(event)
    if why := retries(line):
        yield f"(asks again: {why})"
    for block in _blocks(event):
        yield from (text.replace(f"{folder}/", "") for text in _lines(block))


def retries(line: str) -> str:
    """Why the service is asked again, as the status that it gave, where the event says that it is; else ""."""
    event = _event(line) if '"api_retry"' in line else None
    if event is None or event.get("subtype") != "api_retry":
        return ""
    return str(event.get("error_status") or "no answer")


def _event(line: str) -> dict[str, Any] | None:
    return dict(foreign.parse_object(line)) or None


def _blocks(event: dict[str, Any]) -> list[dict[str, Any]]:
    message = event.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _lines(block: dict[str, Any]) -> Iterator[str]:
    match block.get("type"):
        case "text":
            yield str(block.get("text", ""))
        case "thinking" if block.get("thinking"):
            yield "\n".join(f"> {line}" for line in str(block["thinking"]).splitlines())
        case "tool_use":
            yield from _use(str(block.get("name")), block.get("input"))
        case "tool_result" if block.get("is_error"):
            yield f"  refused: {_short(_text(block.get('content')))}"


def _use(name: str, arguments: Any) -> Iterator[str]:
    given = arguments if isinstance(arguments, dict) else {}
    subject = next((str(given[key]) for key in _FIRST if key in given), "")
    yield f"* {name} {_short(subject)}".rstrip()
    for sign, key in (("-", "old_string"), ("+", "new_string"), ("+", "content")):
        for text in str(given.get(key, "")).splitlines():
            yield f"  {sign} {_short(text)}"


def _text(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    return str(content)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _result(event: dict[str, Any]) -> str:
    said = f": {_short(str(event.get('result')))}" if event.get("is_error") else ""
    turns = foreign.text(event.get("num_turns"), 20) or "?"
    usd, milliseconds = (foreign.finite(event.get(name)) for name in ("total_cost_usd", "duration_ms"))
    cost = "an unknown cost" if usd is None else f"${usd:.4f}"
    after = "?" if milliseconds is None else f"{milliseconds / 1000:.0f} s"
    return f"({event.get('subtype', 'ended')}, {turns} turns, {after}, {cost}{said})"
