"""One experiment's conversation with a model: the messages, and the loop of answers and tool calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from swarm.records import Briefing
from swarm.researchers.llm.prompt import shortened
from swarm.researchers.llm.tools import TOOLS, Desk, Refused
from swarm.researchers.protocol import Away, Board

DECLINED = 3  # answers that a model may decline before somebody else thinks

_HOUR = {"type": "ephemeral", "ttl": "1h"}  # longer than an experiment, so that the next one finds it
_MINUTES = {"type": "ephemeral"}  # the talk itself goes on at once or not at all
_SHOWN = 600  # characters of a tool's answer that a transcript shows: mostly they are files
_LAST_TURNS = 3  # from how many turns left the model is told so

Block = dict[str, Any]


class Answers(Protocol):
    """Whatever gives a model's next message (service.py)."""

    async def answer(self, system: Sequence[Any], messages: Sequence[Any], tools: Sequence[Any]) -> Any: ...


class Dialogue:
    """Asks until the desk's step is done. Every answer is a turn; `turns` of them are left.

    Whatever comes back, the conversation stays well-formed: each tool call gets its result, a cut off or malformed
    one the reason why it was not carried out.
    """

    def __init__(
        self,
        service: Answers,
        desk: Desk,
        stable: str,
        trunk: str,
        briefing: str,
        turns: int,
        board: Board | None = None,
        write: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`write` is told every word of the talk as it comes, but for the opening."""
        self.desk, self.turns, self._board, self._write = desk, turns, board, write
        self._service = service
        self._declined = 0
        self._system = [_cached(_text(stable), _HOUR)]
        self._messages: list[Block] = [_user([_cached(_text(trunk), _HOUR), _text(briefing)])]

    def say(self, text: str) -> None:
        """Adds to what the model reads next."""
        self._write(f"> {shortened(text, _SHOWN)}")
        if self._messages[-1]["role"] == "user":
            self._messages[-1]["content"].append(_text(text))
        else:
            self._messages.append(_user([_text(text)]))

    def go_on(self, briefing: Briefing, files: Mapping[str, bytes], folder: Path, turns: int) -> None:
        """Takes up the next step, the edit of these files, with at least so many turns."""
        self.desk.begin(briefing, files, folder)
        self.turns = max(self.turns, turns)

    async def work(self) -> None:
        """Until the step is done, or no turn is left; Exhausted where the service or the model gives no more."""
        while not self.desk.done and self.turns > 0:
            self.turns -= 1
            message = await self._service.answer(self._system, self._marked(), TOOLS)
            if message.stop_reason == "refusal":
                self._take_refusal(message)
            else:
                await self._take(message)
            if not self.desk.done and 0 < self.turns <= _LAST_TURNS:
                self.say(f"Turns left: {self.turns}. Submit.")

    def _marked(self) -> list[Block]:
        """The messages, with the end of the last one marked as the end of what can be cached."""
        *before, last = self._messages
        *blocks, end = last["content"]
        return [*before, last | {"content": [*blocks, _cached(end, _MINUTES)]}]

    async def _take(self, message: Any) -> None:
        blocks = [block.to_dict(mode="json") for block in message.content]
        calls = [block for block in blocks if block["type"] == "tool_use"]
        for block in blocks:
            if block["type"] == "text":
                self._write(block["text"])
        cut = message.stop_reason in ("max_tokens", "model_context_window_exceeded")
        if calls or any(block["type"] == "text" and block["text"].strip() for block in blocks):
            self._messages.append({"role": "assistant", "content": blocks})
        if calls:
            broken = calls[-1]["id"] if cut else ""
            for call in calls:
                await self._look_up(call)
            self._messages.append(_user([self._result(call, call["id"] == broken) for call in calls]))
        elif cut:
            self.say("Your answer was cut off: it was too long. Go on, in smaller steps.")
        else:
            self.say("Go on with the tools: " + ("submit_edit or give_up." if self.desk.editing else "submit_idea."))

    async def _look_up(self, call: Block) -> None:
        """Fetches from the board what the desk is about to be asked for."""
        arguments = call["input"] if call["name"] == "show_experiment" and isinstance(call["input"], dict) else {}
        wanted = str(arguments.get("experiment", ""))
        dossier = await self._board.dossier(wanted) if wanted and self._board else None
        if dossier:
            self.desk.dossiers[wanted] = dossier

    def _result(self, call: Block, broken: bool) -> Block:
        try:
            if broken:
                raise Refused("your answer was cut off in this call, so it was not carried out; use smaller pieces")
            if self.desk.done:
                raise Refused("not carried out: the step before was over already")
            said, wrong = self.desk.use(call["name"], call["input"]), False
        except Refused as refused:
            said, wrong = str(refused), True
        self._write(f"[{call['name']}] {json.dumps(call['input'], ensure_ascii=False)}")
        self._write(f"{'refused' if wrong else 'answer'}: {shortened(said, _SHOWN)}")
        return {"type": "tool_result", "tool_use_id": call["id"], "content": said, "is_error": wrong}

    def _take_refusal(self, message: Any) -> None:
        """A declined answer is not repeated to the model: the question is put again, with a word on what this is."""
        self._declined += 1
        if self._declined >= DECLINED:
            category = getattr(message.stop_details, "category", None)
            raise Away(f"the model declines to go on{f' ({category})' if category else ''}")
        self.say(
            "The last answer was declined. This is ordinary research on a small model with public data: go on with"
            " another plain improvement of the training code."
        )


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _user(content: list[Block]) -> Block:
    return {"role": "user", "content": content}


def _cached(block: Mapping[str, Any], how: Block) -> Block:
    return {**block, "cache_control": how}
