"""One experiment's conversation with a model: the messages, and the loop of answers and tool calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from swarm.records import Briefing
from swarm.researchers.llm.arguments import Refused
from swarm.researchers.llm.metered_model import MeteredModel
from swarm.researchers.llm.models.protocol import Answer, Call, Message, Question, Request, Result, Stop, Text
from swarm.researchers.llm.prompt import shortened
from swarm.researchers.llm.tools import TOOLS, Draft
from swarm.researchers.protocol import Away, BoardAccess

DECLINED = 3  # answers that a model may decline before somebody else thinks
UNREADABLE = 2  # answers in a row that cannot be read before somebody else does: the first of them may be mended

_SHOWN = 600  # characters of a tool's answer that a transcript shows: mostly they are files
_LAST_TURNS = 3  # from how many turns left the model is reminded of them


class Dialogue:
    """Asks until the present step of the draft is done. Every answer is a turn; `turns` of them are left.

    Whatever comes back, the conversation stays well-formed: each tool call gets its result, a cut off or malformed
    one the reason why it was not carried out.
    """

    def __init__(
        self,
        model: MeteredModel,
        draft: Draft,
        stable: str,
        trunk: str,
        briefing: str,
        turns: int,
        board: BoardAccess | None = None,
        write: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`write` gets every word of the talk as it comes, but for the opening."""
        self.draft, self.turns, self._board, self._write = draft, turns, board, write
        self._model, self._system = model, stable
        self._declined = self._unreadable = 0
        self._messages: list[Message] = [Question((Text(trunk, shared=True), Text(briefing)))]

    def say(self, text: str) -> None:
        """Adds to what the model reads next."""
        self._write(f"> {shortened(text, _SHOWN)}")
        last = self._messages[-1]
        if isinstance(last, Question):
            self._messages[-1] = last.and_then(text)
        else:
            self._messages.append(Question((Text(text),)))

    def go_on(self, briefing: Briefing, files: Mapping[str, bytes], folder: Path, turns: int) -> None:
        """Takes up the next step, the edit of these files, with at least so many turns."""
        self.draft.begin(briefing, files, folder)
        self.turns = max(self.turns, turns)

    async def work(self) -> None:
        """Until the step is done, or no turn is left; Exhausted where the service or the model gives no more."""
        while not self.draft.done and self.turns > 0:
            self.turns -= 1
            answer = await self._model.answer(Request(self._system, tuple(self._messages), TOOLS))
            if answer.stop is Stop.REFUSED:
                self._take_refusal(answer)
            else:
                await self._take(answer)
            if not self.draft.done and 0 < self.turns <= _LAST_TURNS:
                self.say(f"Turns left: {self.turns}. Submit.")

    async def _take(self, answer: Answer) -> None:
        if answer.text:
            self._write(answer.text)
        if answer.calls or answer.text.strip():
            self._messages.append(answer)
        if answer.fault:
            self._take_fault(answer.fault)
            return
        self._unreadable, cut = 0, answer.stop is Stop.CUT
        if answer.calls:
            broken = answer.calls[-1] if cut else None
            for call in answer.calls:
                await self._look_up(call)
            self._messages.append(Question(tuple(self._result(call, call is broken) for call in answer.calls)))
        elif cut:
            self.say("Your answer was cut off: it was too long. Go on, in smaller steps.")
        else:
            self.say("Go on with the tools: " + ("submit_edit or give_up." if self.draft.editing else "submit_idea."))

    async def _look_up(self, call: Call) -> None:
        """Fetches from the board what the draft is about to be asked for."""
        arguments = call.arguments if call.name == "show_experiment" and isinstance(call.arguments, dict) else {}
        wanted = str(arguments.get("experiment", ""))
        dossier = await self._board.dossier(wanted) if wanted and self._board else None
        if dossier:
            self.draft.dossiers[wanted] = dossier

    def _result(self, call: Call, broken: bool) -> Result:
        try:
            if broken:
                raise Refused("your answer was cut off in this call, so it was not carried out; use smaller pieces")
            if self.draft.done:
                raise Refused("not carried out: the step before was over already")
            said, failed = self.draft.use(call.name, call.arguments), False
        except Refused as refused:
            said, failed = str(refused), True
        self._write(f"[{call.name}] {json.dumps(call.arguments, ensure_ascii=False)}")
        self._write(f"{'refused' if failed else 'answer'}: {shortened(said, _SHOWN)}")
        return Result(call.id, said, failed)

    def _take_fault(self, fault: str) -> None:
        """An answer that cannot be read may be written once more."""
        self._unreadable += 1
        if self._unreadable >= UNREADABLE:
            raise Away(f"the model's answers cannot be read: {fault}")
        self.say(f"Nothing of your answer was carried out: {fault}. Write all of it again.")

    def _take_refusal(self, answer: Answer) -> None:
        """A declined answer is not repeated to the model: the question is put again, with a word on what this is."""
        self._declined += 1
        if self._declined >= DECLINED:
            raise Away(f"the model declines to go on{f' ({answer.refusal})' if answer.refusal else ''}")
        self.say(
            "The last answer was declined. This is ordinary research on a small model with public data: go on with"
            " another plain improvement of the training code."
        )
