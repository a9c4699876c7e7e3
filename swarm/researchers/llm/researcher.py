"""A language model as a researcher: it thinks in a loop of answers and tool calls, whatever service answers.

One experiment is one conversation: `propose` leads it until the idea is submitted, `edit` goes on until the edit is,
and `repair`, after a crash, goes on from there.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from swarm.errors import UsageError
from swarm.execution.workspace import LARGEST, is_text
from swarm.project.patterns import open_places, read_scope
from swarm.records import Briefing, Edit, Failure, Idea, Run
from swarm.researchers.llm import prompt
from swarm.researchers.llm.dialogue import Dialogue
from swarm.researchers.llm.metered_model import MeteredModel
from swarm.researchers.llm.models.protocol import Service
from swarm.researchers.llm.money import MAX_USD, OwnSpending, SharedSpending
from swarm.researchers.llm.run_comparison import difference
from swarm.researchers.llm.tools import Draft, texts
from swarm.researchers.llm.transcript import Transcript
from swarm.researchers.options import Option
from swarm.researchers.protocol import Away, BoardAccess, Profile
from swarm.text import read_text

TURNS = Option("turns", 40, "answers of the model in one experiment")
MORE_TURNS = 12  # ... and at least so many for its edit, and again to mend a crash

_ROUND, _APART = 16, 3.0  # so many agents begin so many seconds apart

_REMEMBERED = 4  # conversations: the one being drafted, the one being tested, and what a restart left over

RULES = """\
You are a researcher in a swarm of agents that improve one training program. Each experiment is one idea, put into
code, trained for a fixed time and measured by a referee. You think; the swarm trains, measures and judges.

How one experiment goes:
1. Study the code, the briefing and, with search_findings and show_experiment, what was tried before. Then
   submit_idea: one idea, with the mechanism you expect. It is refused where somebody tried it already.
2. When you are told that the idea is yours, put it into code with edit_file, then submit_edit. Change what the idea
   needs and nothing else. You cannot run code: read what you wrote again, and use check. What the files hold when
   your turns are used up is submitted as it is.
3. If the run crashes you may be shown why, and mend it once.

Only the editable files can be changed. Prefer ideas that could gain several times the noise over polishing digits,
and simple code over clever code: less code at equal results is a win."""

_MOVED = """\
The trunk moved on meanwhile, and your edit does not fit it any more. The editable files stand as the trunk has them
now, without your edit; make it anew. What changed since the code that you were shown:"""


class LanguageModel(ABC):
    """The researcher. A subclass opens the service that it asks, and declares what that needs.

    Beside the declared options there are max_usd, api_key (else from the environment), base_url, tree (a folder with
    the project's files, for the time before the first edit), folder (the agent's own, for transcripts), and, a line
    each, editable (patterns of what may be edited) and fixed (paths that may be read). Until it is connected its
    spending has a limit of its own. UsageError where an option makes no sense or no key is set.
    """

    profile: ClassVar[Profile]

    def __init__(self, agent: str, seed: int, options: Mapping[str, str]) -> None:
        spending = OwnSpending(MAX_USD.read(options))
        self.model = MeteredModel(self.open_service(self._key(options), options), spending)
        self._turns = TURNS.read(options)
        self._tree = Path(options["tree"]) if options.get("tree") else None
        self._fixed = frozenset(options["fixed"].split("\n")) if options.get("fixed") else None
        self._scope = read_scope(options)
        self._board: BoardAccess | None = None
        self.transcript = Transcript(Path(options["folder"], "transcripts") if options.get("folder") else None)
        self._thought: Idea | None = None  # the newest idea: the talk that led to it begins its transcript
        self._dialogues: OrderedDict[str, Dialogue] = OrderedDict()

    @abstractmethod
    def open_service(self, key: str, options: Mapping[str, str]) -> Service:
        """The service that answers."""

    def _key(self, options: Mapping[str, str]) -> str:
        """The service's key; "" for one that its class declares none for. UsageError where it is missing."""
        variable = self.profile.secrets.get("api_key")
        if variable is None:
            return ""
        if not (key := options.get("api_key") or os.environ.get(variable)):
            raise UsageError(f"{self.profile.title} needs a key: set {variable}, or take claude-code or sweep")
        return key

    def connect(self, agent: str, board: BoardAccess) -> None:
        self.model.spending, self._board = SharedSpending(agent, board), board

    async def propose(self, briefing: Briefing) -> Idea:
        await asyncio.sleep(head_start(briefing))
        self.transcript.think()
        dialogue = self._dialogue(briefing)
        await dialogue.work()
        if dialogue.draft.idea is None:
            raise Away(f"no idea came of {self._turns} turns")
        self._remember(dialogue.draft.idea, dialogue)
        self._thought = dialogue.draft.idea
        return self._thought

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        """The submitted edit, or what stood when the turns were used up; an empty one where the model gave up."""
        self.transcript.edit(briefing.experiment, idea == self._thought)
        dialogue = self._dialogues.get(idea.title) or self._dialogue(briefing, idea)
        self._remember(idea, dialogue)
        self._tree = folder
        if moved := difference(dialogue.draft.briefing.parent, briefing.parent):
            dialogue.say(f"{_MOVED}\n\n{prompt.quoted(moved, 'the trunk since then', prompt.FILE)}")
        dialogue.go_on(briefing, briefing.parent.files, folder, MORE_TURNS)
        dialogue.say(f"The idea is yours: {idea.title}. Put it into code, then submit_edit.")
        await dialogue.work()
        return Edit({}) if dialogue.draft.given_up else dialogue.draft.edit(briefing.parent.files)

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        self.transcript.mend(briefing.experiment)
        crashed = briefing.parent.edited(edit).files
        dialogue = self._dialogues.get(idea.title) or self._dialogue(briefing, idea)
        dialogue.go_on(briefing, crashed, folder, MORE_TURNS)
        dialogue.say(f"{prompt.crash(run)}\n\n{_advice(run)} The files stand as they were run.")
        await dialogue.work()
        mended = dialogue.draft.edit(crashed)
        return mended if mended.files and not dialogue.draft.given_up else None

    # -- conversations -------------------------------------------------------------------------------------------

    def _dialogue(self, briefing: Briefing, idea: Idea | None = None) -> Dialogue:
        """A new conversation about this briefing; with an idea of somebody else's it starts there."""
        draft = Draft(briefing, texts(briefing.parent.files), self._tree, self._fixed, idea, self._scope)
        stable = prompt.stable(RULES, briefing.program, self._fixed_files())
        text = prompt.briefing_text(briefing)
        if places := open_places(self._scope, briefing.parent.files):
            text += f"\n\n# New files\n\nThey may be made where these match: {', '.join(places)}"
        if idea:
            text += "\n\n# An idea to work on\n\n" + prompt.quoted(f"{idea.title}\n{idea.rationale}", "idea")
        self.transcript.brief(text)
        trunk = prompt.trunk(briefing)
        return Dialogue(self.model, draft, stable, trunk, text, self._turns, self._board, self._write)

    def _write(self, line: str) -> None:
        self.transcript.write(self.model.service.hidden(line))

    def _remember(self, idea: Idea, dialogue: Dialogue) -> None:
        self._dialogues[idea.title] = dialogue
        self._dialogues.move_to_end(idea.title)
        while len(self._dialogues) > _REMEMBERED:
            self._dialogues.popitem(last=False)

    def _fixed_files(self) -> dict[str, str]:
        """The named fixed files, as far as they can be read now."""
        if self._tree is None or self._fixed is None:
            return {}
        places = {path: self._tree / path for path in self._fixed}
        plain = {path: place for path, place in places.items() if place.is_file() and not place.is_symlink()}
        small = {path: place.read_bytes() for path, place in plain.items() if place.stat().st_size <= LARGEST}
        return {path: read_text(content).text for path, content in small.items() if is_text(content)}


def head_start(briefing: Briefing) -> float:
    """Seconds that this agent lets those before it go ahead: runs end together, and the first call fills the cache
    from which the others read what all of them share. Small beside a run, which is what hides it."""
    place = int("".join(filter(str.isdigit, briefing.agent)) or 0) % _ROUND
    return place * min(_APART, briefing.budget / 100)


def _advice(run: Run) -> str:
    if run.failure is Failure.OOM:
        return "It ran out of memory: take a smaller micro-batch at the same step size, or else a smaller model."
    return "If it was a slip, mend it with edit_file and submit_edit; if the idea is at fault, give_up."
