"""A conversation in the form of Chat Completions: with tools, or in plain text for models that know none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from swarm.researchers.llm.models.protocol import Answer, Call, Message, Request, Result, Stop, Text
from swarm.researchers.llm.money import Usage
from swarm.researchers.llm.plain_text import PROTOCOL, Unreadable, read_calls

Body = dict[str, Any]

_STOPS = {"length": Stop.CUT, "content_filter": Stop.REFUSED}
_CUT = "it was cut off, as it was too long: use smaller pieces"


# -- what is sent --------------------------------------------------------------------------------------------------


def tool_body(request: Request) -> Body:
    """Messages and tools."""
    said = [message for part in request.messages for message in _with_tools(part)]
    tools = [
        {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
        for tool in request.tools
    ]
    return {
        "messages": [{"role": "system", "content": request.system}, *said],
        "tools": [{"type": "function", "function": tool} for tool in tools],
    }


def plain_body(request: Request) -> Body:
    """Messages alone, with the protocol that stands for the tools."""
    said = [_in_words(part) for part in request.messages]
    return {"messages": [{"role": "system", "content": f"{request.system}\n\n{PROTOCOL}"}, *said]}


def _with_tools(message: Message) -> Iterator[Body]:
    if isinstance(message, Answer):
        yield _spoken(message)
        return
    for part in message.parts:
        if isinstance(part, Result):
            yield {"role": "tool", "tool_call_id": part.call, "content": _told(part)}
    if texts := [part.text for part in message.parts if isinstance(part, Text)]:
        yield {"role": "user", "content": "\n\n".join(texts)}


def _spoken(answer: Answer) -> Body:
    """An answer as its service wants it back. Arguments that are no JSON are left out: some services fail on them."""
    if not answer.calls:
        return {"role": "assistant", "content": answer.text}
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
        for call in answer.calls
    ]
    thoughts = answer.native if isinstance(answer.native, dict) else {}
    return {"role": "assistant", "content": answer.text or None, "tool_calls": calls, **thoughts}


def _arguments(call: Call) -> str:
    return json.dumps(call.arguments) if isinstance(call.arguments, dict) else "{}"


def _in_words(message: Message) -> Body:
    if isinstance(message, Answer):
        called = [f"({call.name} {_arguments(call)})" for call in message.calls]
        return {"role": "assistant", "content": message.text or "\n".join(called)}
    return {"role": "user", "content": "\n\n".join(_words(part) for part in message.parts)}


def _words(part: Text | Result) -> str:
    return f"[{part.call}] {_told(part)}" if isinstance(part, Result) else part.text


def _told(result: Result) -> str:
    return f"Error: {result.text}" if result.failed else result.text


# -- what comes back -----------------------------------------------------------------------------------------------


def answer_of(message: Body, usage: Usage, plain: bool) -> Answer:
    """The model's answer; in plain text with the calls that its blocks stand for, or with what is wrong with them."""
    text, refusal = _text(message.get("content")), _text(message.get("refusal"))
    stop = Stop.REFUSED if refusal else _STOPS.get(str(message.get("finish_reason")), Stop.END)
    if not plain or stop is Stop.REFUSED:
        return Answer(text, _calls(message), stop, usage, refusal=refusal, native=_thoughts(message))
    if stop is Stop.CUT:
        return Answer(text, (), stop, usage, fault=_CUT)
    try:
        return Answer(text, read_calls(text), stop, usage)
    except Unreadable as fault:
        return Answer(text, (), stop, usage, fault=str(fault))


def _calls(message: Body) -> tuple[Call, ...]:
    found = message.get("tool_calls")
    calls = []
    for call in found if isinstance(found, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and (name := _text(function.get("name"))):
            identity = _text(call.get("id")) or f"call-{len(calls) + 1}"
            calls.append(Call(identity, name, _parsed(function.get("arguments"))))
    return tuple(calls)


def _text(value: object) -> str:
    """A text that can be sent again: without lone surrogates."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _parsed(arguments: object) -> object:
    """What a model wrote as arguments: JSON as a rule, and by some services as an object already."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments) if arguments.strip() else {}
    except (ValueError, RecursionError):
        return arguments


def _thoughts(message: Body) -> Body:
    """What some services want back with a call: what the model thought before it."""
    thoughts = _text(message.get("reasoning_content"))
    return {"reasoning_content": thoughts} if thoughts else {}
