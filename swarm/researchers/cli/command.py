"""Any coding command as a researcher: whatever edits files in a folder can do research.

    python -m swarm launch --researcher command --researcher-command "codex exec -s workspace-write {prompt}"

The command runs twice an experiment in a folder of its own with the project's files: once to write its idea into
IDEA.json, and, when nobody had that idea before, once to put it into code. What it is to do stands in PROMPT.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from swarm import foreign
from swarm.errors import UsageError
from swarm.project.patterns import open_places, read_scope
from swarm.records import Briefing, Edit, Idea, Run
from swarm.researchers.cli import process
from swarm.researchers.cli.scratch import Scratch, make_home
from swarm.researchers.llm import prompt
from swarm.researchers.llm.arguments import Refused
from swarm.researchers.llm.tools import Draft
from swarm.researchers.llm.transcript import Transcript
from swarm.researchers.options import Option
from swarm.researchers.protocol import Away, Profile

COMMAND = Option("command", "", "any CLI, as 'codex exec --sandbox workspace-write {prompt}'")
ENVIRONMENT = Option("environment", "", "variables it may see beside the usual ones, such as OPENAI_API_KEY")
SECONDS = Option("seconds", 900.0, "how long a step may take until its command is ended", time=True)
STAGGER = 3.0  # seconds between the agents' first commands, which are large programs, ...
LONGEST_STAGGER = 60.0  # ... and that the last of them waits
IDEA = "IDEA.json"
PROMPT = "PROMPT.md"

_SENTENCE = f"Read the file {PROMPT} in this folder and do exactly what it says."

RULES = """\
You are a researcher in a swarm of agents that improve one training program. Each experiment is one idea, put into
code, trained for a fixed time and measured by a referee. You think and edit; the swarm trains, measures and judges.
Do not train, do not use git, the network or anything outside this folder."""

THINK = f"""\
# Now: one idea

Study the editable files ({{editable}}) and the briefing, then write one idea as JSON into the file {IDEA}:

{{{{"title": "what is changed, in one line", "rationale": "what you expect and why", "category": "a category of
program.md", "knobs": {{{{"name in the code": new value}}}}}}}}

`knobs` only where the idea is nothing but numbers. Change no other file yet: the idea is first checked against
everything that was ever tried. To try again what was tried, add "again": why it should come out otherwise now."""

EDIT = """\
# Now: put your idea into code

The idea is yours:

{idea}

Edit only {editable}. Change what the idea needs and nothing else, read it again, and end."""

MEND = """\
# Now: mend a crash

This idea of yours crashed; the files stand as they were run:

{idea}

{crash}

If it was a slip, mend it in {editable}. After running out of memory take a smaller micro-batch, or else a smaller
model. If the idea itself is at fault, change nothing."""


class Command:
    """The researcher. `command` is a template with {prompt}, {prompt_file} or {folder}; `environment` holds names with
    commas. Beside the declared options there are tree (a folder with the project's files, for the time before the
    first edit) and folder (the agent's own, for transcripts).

    Raises Away where the command fails. An edit that touches other than editable files comes back as such: the check
    of edits refuses it and says why.
    """

    profile = Profile(talks=True, options=(COMMAND, ENVIRONMENT, SECONDS))

    def __init__(self, agent: str, seed: int, options: Mapping[str, str]) -> None:
        self.seconds = SECONDS.read(options)
        self.allowed = tuple(filter(None, ENVIRONMENT.read(options).split(",")))
        self.template = self.read_template(options)
        tree = Path(options["tree"]) if options.get("tree") else None
        self.folder = Path(options["folder"]) if options.get("folder") else None
        self.transcript = Transcript(self.folder / "transcripts" if self.folder else None)
        self._home = make_home(agent, self.folder)
        self.scratch = Scratch(Path(self._home.name), tree, read_scope(options))
        self._first = time.monotonic() + min(STAGGER * _number(agent), LONGEST_STAGGER)
        self._turn = asyncio.Lock()  # a repair may come while the next experiment is drafted
        self.end = ""  # how the last command ended, in words
        self._thought: Idea | None = None  # the newest idea: what was said on the way to it is its transcript's begin

    def read_template(self, options: Mapping[str, str]) -> Sequence[str]:
        """The command to run as words; UsageError where it cannot be found or does not say where the prompt goes."""
        try:
            template = shlex.split(COMMAND.read(options))
        except ValueError as error:
            raise UsageError(f"--researcher-command does not parse: {error}") from error
        if not template or not any("{prompt" in word or "{folder}" in word for word in template):
            raise UsageError('--researcher command needs the command: --researcher-command "codex exec {prompt}"')
        if shutil.which(template[0]) is None:
            raise UsageError(f"--researcher-command: there is no program {template[0]} on the PATH")
        return template

    async def propose(self, briefing: Briefing) -> Idea:
        task = THINK.format(editable=self._names(briefing))
        async with self.turn(begun=False):
            self.transcript.think()
            await self._ask(briefing, briefing.parent.files, task)
            self._thought = self._read_idea(briefing)
            return self._thought

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        self.scratch.keep(folder)
        task = EDIT.format(editable=self._names(briefing), idea=_shown(idea))
        async with self.turn(begun=True):
            self.transcript.edit(briefing.experiment, idea == self._thought)
            await self._ask(briefing, briefing.parent.files, task)
            return self.scratch.edit()

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        self.scratch.keep(folder)
        task = MEND.format(editable=self._names(briefing), idea=_shown(idea), crash=prompt.crash(run))
        async with self.turn(begun=True):
            self.transcript.mend(briefing.experiment)
            await self._ask(briefing, briefing.parent.edited(edit).files, task)
            mended = self.scratch.edit()
        return mended if mended.files else None

    @contextlib.asynccontextmanager
    async def turn(self, begun: bool) -> AsyncIterator[None]:
        """One step at a time, as there is one folder; `begun` says that it goes on with an experiment."""
        async with self._turn:
            yield

    async def _ask(self, briefing: Briefing, files: Mapping[str, bytes], task: str) -> None:
        """One run of the command on these files."""
        about = f"{prompt.stable(RULES, briefing.program, {})}\n\n{prompt.briefing_text(briefing)}"
        self.transcript.brief(f"{about}\n\n{task}\n")
        await asyncio.to_thread(self.scratch.lay, files, self.papers(about, task))
        await asyncio.sleep(max(0.0, self._first - time.monotonic()))
        await self.run(task)

    def papers(self, about: str, task: str) -> Mapping[str, str]:
        """What is laid beside the project's files for the command to read."""
        return {PROMPT: f"{about}\n\n{task}"}

    async def run(self, task: str) -> None:
        """Runs the command in the scratch folder; Away where it fails."""
        words = self.words()
        environment = process.environment(self.allowed)
        secrets = [environment[name] for name in self.allowed if name in environment]
        ended = await process.run(
            words, self.scratch.folder, environment, self.seconds, lambda line: self.hear(line, secrets)
        )
        self.end = f"{words[0]} {ended.why(secrets)}"
        if ended.code != 0:
            raise Away(self.end)

    def words(self) -> list[str]:
        """The command with its places filled."""
        folder = self.scratch.folder
        places = {"{prompt_file}": str(folder / PROMPT), "{folder}": str(folder), "{prompt}": _SENTENCE}
        return [_filled(word, places) for word in self.template]

    def hear(self, line: str, secrets: Sequence[str]) -> None:
        """What the command prints while it works."""
        self.transcript.write(process.hidden(line, secrets))

    def _names(self, briefing: Briefing) -> str:
        """What may be edited, and where new files may be made."""
        files, places = (
            ", ".join(sorted(briefing.parent.files)),
            ", ".join(open_places(self.scratch.scope, briefing.parent.files)),
        )
        return f"{files}, and new files that match {places}" if places else files

    def _read_idea(self, briefing: Briefing) -> Idea:
        """What stands in IDEA.json, checked like an idea by API."""
        draft = Draft(briefing, {})
        try:
            draft.use("submit_idea", foreign.parse(self.scratch.read(IDEA)))
        except (OSError, ValueError, Refused) as wrong:
            end = self.end and f"; {self.end}"
            raise Away(f"no idea in {IDEA}: {prompt.line(str(wrong))}{end}") from None
        assert draft.idea
        return draft.idea


def _filled(word: str, places: Mapping[str, str]) -> str:
    for place, text in places.items():
        word = word.replace(place, text)
    return word


def _number(agent: str) -> int:
    """3 of gpu3; 0 of an agent without a number."""
    found = re.search(r"\d+$", agent)
    return int(found[0]) if found else 0


def _shown(idea: Idea) -> str:
    return prompt.quoted(f"{idea.title}\n\n{idea.rationale}\n\nknobs: {dict(idea.knobs)}", "your idea")
