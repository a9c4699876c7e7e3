"""Claude by API: a researcher that thinks in a tool loop over the Messages API.

    python -m swarm launch --researcher claude --model claude-opus-5-5 --max-usd 20

One experiment is one conversation: `propose` leads it until the idea is submitted, `edit` goes on until the edit is,
and `repair`, after a crash, goes on from there.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from swarm.errors import UsageError
from swarm.records import Briefing, Edit, Failure, Idea, Run
from swarm.researchers.llm import prompt
from swarm.researchers.llm.dialogue import Dialogue
from swarm.researchers.llm.models.anthropic import RETRIES, Service
from swarm.researchers.llm.money import OwnPurse, SharedPurse
from swarm.researchers.llm.run_comparison import difference
from swarm.researchers.llm.tools import LARGEST, Desk, texts
from swarm.researchers.llm.transcript import Transcript
from swarm.researchers.options import positive
from swarm.researchers.protocol import Away, Board

MODEL = "claude-opus-5-5"
MAX_USD = 20.0
KEY = "ANTHROPIC_API_KEY"
ADDRESS = "ANTHROPIC_BASE_URL"
TURNS = 40  # answers of the model in one experiment
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


class Claude:
    """The researcher. Options: model, max_usd, base_url, api_key (else from the environment), tree (a folder with the
    project's files, for the time before the first edit), folder (the agent's own, for transcripts), fixed (paths that
    may be read, a line each), turns, retries.

    Until it is connected it pays from a purse of its own. UsageError where an option makes no sense or no key is set.
    """

    def __init__(self, agent: str, seed: int, options: Mapping[str, str]) -> None:
        key = options.get("api_key") or os.environ.get(KEY)
        if not key:
            raise UsageError(f"--researcher claude needs a key: set {KEY}, or take claude-code or sweep")
        self.service = Service(
            options.get("model") or MODEL,
            OwnPurse(positive(options, "max_usd", MAX_USD)),
            key,
            options.get("base_url") or None,
            int(positive(options, "retries", RETRIES)),
        )
        self._turns = int(positive(options, "turns", TURNS))
        self._tree = Path(options["tree"]) if options.get("tree") else None
        self._fixed = frozenset(options["fixed"].split("\n")) if options.get("fixed") else None
        self._board: Board | None = None
        self.transcript = Transcript(Path(options["folder"], "transcripts") if options.get("folder") else None)
        self._thought: Idea | None = None  # the newest idea: the talk that led to it begins its transcript
        self._dialogues: OrderedDict[str, Dialogue] = OrderedDict()

    def connect(self, agent: str, board: Board) -> None:
        self.service.purse, self._board = SharedPurse(agent, board), board

    async def propose(self, briefing: Briefing) -> Idea:
        await asyncio.sleep(head_start(briefing))
        self.transcript.think()
        dialogue = self._dialogue(briefing)
        await dialogue.work()
        if dialogue.desk.idea is None:
            raise Away(f"no idea came of {self._turns} turns")
        self._remember(dialogue.desk.idea, dialogue)
        self._thought = dialogue.desk.idea
        return self._thought

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        """The submitted edit, or what stood when the turns were used up; an empty one where the model gave up."""
        self.transcript.edit(briefing.experiment, idea == self._thought)
        dialogue = self._dialogues.get(idea.title) or self._dialogue(briefing, idea)
        self._remember(idea, dialogue)
        self._tree = folder
        if moved := difference(dialogue.desk.briefing.parent, briefing.parent):
            dialogue.say(f"{_MOVED}\n\n{prompt.quoted(moved, 'the trunk since then', prompt.FILE)}")
        dialogue.go_on(briefing, briefing.parent.files, folder, MORE_TURNS)
        dialogue.say(f"The idea is yours: {idea.title}. Put it into code, then submit_edit.")
        await dialogue.work()
        return Edit({}) if dialogue.desk.given_up else dialogue.desk.edit(briefing.parent.files)

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        self.transcript.mend(briefing.experiment)
        crashed = briefing.parent.edited(edit).files
        dialogue = self._dialogues.get(idea.title) or self._dialogue(briefing, idea)
        dialogue.go_on(briefing, crashed, folder, MORE_TURNS)
        dialogue.say(f"{prompt.crash(run)}\n\n{_advice(run)} The files stand as they were run.")
        await dialogue.work()
        mended = dialogue.desk.edit(crashed)
        return mended if mended.files and not dialogue.desk.given_up else None

    # -- conversations -------------------------------------------------------------------------------------------

    def _dialogue(self, briefing: Briefing, idea: Idea | None = None) -> Dialogue:
        """A new conversation about this briefing; with an idea of somebody else's it starts there."""
        desk = Desk(briefing, texts(briefing.parent.files), self._tree, self._fixed, idea)
        stable = prompt.stable(RULES, briefing.program, self._fixed_files())
        told = prompt.told(briefing)
        if idea:
            told += "\n\n# An idea to work on\n\n" + prompt.quoted(f"{idea.title}\n{idea.rationale}", "idea")
        self.transcript.brief(told)
        trunk = prompt.trunk(briefing)
        return Dialogue(self.service, desk, stable, trunk, told, self._turns, self._board, self._write)

    def _write(self, line: str) -> None:
        self.transcript.write(self.service.hidden(line))

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
        return {
            path: place.read_text(errors="replace")
            for path, place in places.items()
            if place.is_file() and not place.is_symlink() and place.stat().st_size <= LARGEST
        }


def head_start(briefing: Briefing) -> float:
    """Seconds that this agent lets those before it go ahead: runs end together, and the first call fills the cache
    from which the others read what all of them share. Small beside a run, which is what hides it."""
    place = int("".join(filter(str.isdigit, briefing.agent)) or 0) % _ROUND
    return place * min(_APART, briefing.budget / 100)


def secrets(researcher: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The options that an agent on any host needs to reach the API: they are handed over in memory, never written."""
    names = {"api_key": KEY, "base_url": ADDRESS} if researcher in ("claude", "claude-code") else {}
    return {option: environ[name] for option, name in names.items() if environ.get(name)}


def _advice(run: Run) -> str:
    if run.failure is Failure.OOM:
        return "It ran out of memory: take a smaller micro-batch at the same step size, or else a smaller model."
    return "If it was a slip, mend it with edit_file and submit_edit; if the idea is at fault, give_up."
