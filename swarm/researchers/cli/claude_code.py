"""Claude Code as a researcher: the `claude` command, headless, in a folder of the agent's own.

    python -m swarm launch --researcher claude-code --max-usd 20

One conversation lasts as long as the swarm, so that it keeps its thread; CLAUDE.md is written anew for every step. The
folder lies outside the repository and user settings are left out, so that no other CLAUDE.md is read. It may read and
edit the editable files there: no shell, no network. Tried with the versions in `TRIED`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swarm import foreign
from swarm.errors import UsageError
from swarm.project.patterns import open_places
from swarm.researchers.cli import process
from swarm.researchers.cli.claude_bill import Charge, ConversationBill
from swarm.researchers.cli.command import ENVIRONMENT, IDEA, SECONDS, Command
from swarm.researchers.cli.conversation import Conversation, Talk
from swarm.researchers.cli.stream import readable, retries
from swarm.researchers.llm import prompt
from swarm.researchers.llm.models import anthropic
from swarm.researchers.llm.models.anthropic import ADDRESS, KEY
from swarm.researchers.llm.money import MAX_USD, OutOfMoney, OwnSpending, SharedSpending, Spending, Usage, reserved
from swarm.researchers.options import Option
from swarm.researchers.protocol import Away, BoardAccess, Profile, needs_program

INSTALL = "npm install -g @anthropic-ai/claude-code"
TRIED = ("2.1.197", "2.1.332")  # versions that tests/researchers/cli/test_claude_code.py was run with
MODEL = Option("model", "", "which model to ask; else the one that `claude` takes by itself")
TURNS = Option("turns", 40, "answers of the model in one step")
PROGRAM = Option("claude", "claude", "where the program is")
STEP_USD = 3.0  # at most for one step

_CUT_SHORT = ("error_max_turns", "error_max_budget_usd")  # what stands then counts
_ANSWER = Usage(output=32_000)  # the CLI sees only after an answer that the money for it was spent: its worst case
_TOOLS = "Read,Edit,Write,Grep,Glob"
_FORBIDDEN = "Bash,WebFetch,WebSearch,Task,NotebookEdit"
_SECRETS = (KEY, "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
_PLACES = (ADDRESS, "CLAUDE_CONFIG_DIR")
_CLOUDS = {  # with this variable set, it logs in by those that begin so, as in the user's shell
    "CLAUDE_CODE_USE_BEDROCK": ("AWS_", "ANTHROPIC_BEDROCK_", "CLAUDE_CODE_SKIP_BEDROCK_"),
    "CLAUDE_CODE_USE_VERTEX": ("GOOGLE_", "GCLOUD_", "CLOUDSDK_", "CLOUD_ML_", "ANTHROPIC_VERTEX_", "VERTEX_",
                               "CLAUDE_CODE_SKIP_VERTEX_"),
}  # fmt: skip
_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_MAX_RETRIES": "2",  # 2 s; ten take minutes, in which the GPU waits and the sweep could think
}
_INSTRUCTIONS = ("CLAUDE.md", "CLAUDE.local.md", ".claude/**")  # of a folder around its own: whoever wrote them
LONGEST_PAUSE = 8 * 86_400.0  # seconds: no plan's limit lasts longer than its week, whatever a CLI says
_HIDDEN = re.compile("KEY|TOKEN|SECRET")
_LOST_SESSION = "No conversation found"


@dataclass(frozen=True, slots=True)
class State:
    """A way in which the CLI cannot work, recognised by its words: what people should know, and when to ask again."""

    words: str  # a regular expression, in lower case
    reason: str
    pause: float  # seconds


STATES = (
    State(
        r"/login|not logged in|invalid api key|authentication|oauth",
        f"not logged in: run `claude` once, or set {KEY}; another variable that it needs is named by"
        " --researcher-command-env (--command-env)",
        300,
    ),
    State(r"credit balance|billing", "the account has no credit left", 600),
    State(r"root/sudo", "it refuses to run as root: start the swarm as another user", 3600),
    State(r"usage limit|limit reached|hit your|out of .*usage", "the plan's limit is reached", 900),
    State(r"\b429\b|rate limit", "the rate limit is reached", 60),
    State(r"\b529\b|overloaded", "the API is overloaded", 30),
    State(r"model.*(not exist|not found|access)", "the model cannot be used with this login", 600),
    State(r"unknown option|unknown argument", "this `claude` is too old: update it", 3600),
)
_OTHER = State("", "it fails", 60)


class ClaudeCode(Command):
    """The researcher. Beside the declared options there are max_usd, api_key, base_url and those of any command. Until
    it is connected its spending has a limit of its own."""

    profile = Profile(
        offers=True,
        pays=True,
        talks=True,
        secrets={"api_key": KEY, "base_url": ADDRESS},
        options=(MODEL, TURNS, PROGRAM, ENVIRONMENT, SECONDS),
        check=needs_program("claude", INSTALL, option="claude", tried=TRIED[-1]),
    )

    def __init__(self, agent: str, seed: int, options: Mapping[str, str]) -> None:
        super().__init__(agent, seed, options)
        self.spending: Spending = OwnSpending(MAX_USD.read(options))
        self.session: str | None = None
        self._model = MODEL.read(options)
        self._turns = TURNS.read(options)
        self._own = {KEY: options.get("api_key"), ADDRESS: options.get("base_url")}
        self._closed_until, self._why_closed = 0.0, ""
        self._bill, self._board, self._warned = ConversationBill(), None, False
        self._retries = ""  # why the service is asked again, while it is
        self._since = 0.0
        self.conversation = Conversation(self.folder) if self.folder else None

    def connect(self, agent: str, board: BoardAccess) -> None:
        self.spending, self._board, self._agent = SharedSpending(agent, board), board, agent

    @property
    def waits(self) -> str:
        """What it waits for now, for the agent's row; "" while it thinks."""
        return f"claude retries ({self._retries}), {time.monotonic() - self._since:.0f} s" if self._retries else ""

    def read_template(self, options: Mapping[str, str]) -> Sequence[str]:
        name = PROGRAM.read(options)
        if (program := shutil.which(name)) is None:
            raise UsageError(f"--researcher claude-code: there is no {name} on the PATH; install it with `{INSTALL}`")
        return (program,)

    def papers(self, about: str, task: str) -> Mapping[str, str]:
        """CLAUDE.md, in which an @ before a path would draw in that file, whoever wrote it."""
        return {"CLAUDE.md": re.sub(r"@(?=\S)", "@ ", about)}

    @contextlib.asynccontextmanager
    async def turn(self, begun: bool) -> AsyncIterator[None]:
        """Never while a person talks with it (`swarm attach`): the GPU cannot wait, so somebody else thinks."""
        async with super().turn(begun):
            if self.conversation is None:
                yield
                return
            with self.conversation.turn(begun) as ours:
                if not ours:
                    raise Away("a person is talking with it")
                yield

    async def run(self, task: str) -> None:
        if (wait := self._closed_until - time.monotonic()) > 0:
            raise Away(f"{self._why_closed}; asked again in {wait:.0f} s")
        spare = anthropic.cost(self._model or anthropic.MODEL.default, _ANSWER)
        most = min(STEP_USD + spare, await self.spending.left())
        if most <= spare:
            raise OutOfMoney("the money limit is reached")
        async with reserved(self.spending, most, model=self._model or "claude-code") as bill:
            ended, result = await self._step(task, most - spare)
            if result:
                charge = self._bill.call(result)
                bill.usage, bill.usd = charge.usage, charge.usd
                await self._compare(charge)
            elif ended.code == 1:  # it never came to ask anything
                bill.usd = 0.0
        if result.get("is_error", True) and result.get("subtype") not in _CUT_SHORT:
            raise self._close(ended, result)

    async def _compare(self, charge: Charge) -> None:
        """Tells people once where the bill cannot be right."""
        if charge.doubtful and not self._warned and self._board:
            self._warned = True
            told = f"claude's own bill says ${charge.usd:.4f} for a step whose tokens cost ${charge.listed:.4f}"
            await self._board.warn(self._agent, f"{told} by our price list: what this swarm has spent is uncertain")

    async def _step(self, task: str, usd: float) -> tuple[process.Ended, Mapping[str, Any]]:
        """One run of the CLI, in the conversation so far; in a new one where that was lost."""
        ended = await self._call(task, usd)
        if self.session and _LOST_SESSION in ended.errors:
            self.session, self._bill = None, ConversationBill()
            ended = await self._call(task, usd)
        result = _result(ended.output)
        self.session = result.get("session_id") or self.session
        if self.session and self.conversation:
            words = (self.template[0], "--resume", self.session, *self._limits())
            self.conversation.note(Talk(words, str(self.scratch.folder)))
        return ended, result

    async def _call(self, task: str, usd: float) -> process.Ended:
        words = [
            *(self.template[0], "-p", f"CLAUDE.md in this folder is new: it holds the briefing.\n\n{task}"),
            *("--output-format", "stream-json", "--verbose"),
            *("--max-turns", str(self._turns), "--max-budget-usd", f"{usd:.2f}"),
            *(("--resume", self.session) if self.session else ()),
            *self._limits(),
        ]
        folder, environment = self.scratch.folder, self._environment()
        secrets = self._secrets(environment)
        try:
            return await process.run(words, folder, environment, self.seconds, lambda line: self.hear(line, secrets))
        finally:
            self._retries = ""

    def _limits(self) -> tuple[str, ...]:
        """What it may do, headless or with a person: read the folder, and edit what may be edited."""
        folder = self.scratch.folder
        editable = [
            f"Edit(./{path})"
            for path in (*self.scratch.editable, *open_places(self.scratch.scope, self.scratch.editable), IDEA)
        ]
        outer = [f"{place.as_posix().rstrip('/')}/{name}" for place in folder.parents for name in _INSTRUCTIONS]
        return (
            *("--permission-mode", "default", "--tools", _TOOLS, "--disallowedTools", _FORBIDDEN),
            *("--allowedTools", ",".join(("Read(./**)", *editable))),
            *("--setting-sources", "project", "--strict-mcp-config"),
            *("--settings", json.dumps({"claudeMdExcludes": outer})),
            *(("--model", self._model) if self._model else ()),
        )

    def hear(self, line: str, secrets: Sequence[str]) -> None:
        why = retries(line)
        if why and not self._retries:
            self._since = time.monotonic()
        self._retries = why
        for text in readable(line, str(self.scratch.folder)):
            super().hear(text, secrets)

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in self._own.items() if value}
        return process.environment((*_SECRETS, *_PLACES, *_cloud_login(os.environ), *self.allowed)) | own | _QUIET

    def _close(self, ended: process.Ended, result: Mapping[str, Any]) -> Away:
        """The named state, with the CLI's own words; it is left alone until that can have passed."""
        said = str(result.get("result") or ended.errors.strip() or ended.why())
        status = str(result.get("api_error_status") or "")
        seen = f"{said} {status} {'authentication' if status == '401' else ''}".lower()
        state = next((state for state in STATES if re.search(state.words, seen)), _OTHER)
        pause = state.pause
        if reset := re.search(r"\|(\d{10})\b", said):  # some versions tell the plan's reset in unix seconds
            pause = min(max(float(reset[1]) - time.time(), 60.0), LONGEST_PAUSE)
        words = process.hidden(prompt.line(said), self._secrets(self._environment()))
        self._why_closed, self._closed_until = f"claude: {state.reason} ({words})", time.monotonic() + pause
        return Away(self._why_closed)

    def _secrets(self, environment: Mapping[str, str]) -> list[str]:
        names = (*_SECRETS, *(name for name in _cloud_login(environment) if _HIDDEN.search(name)), *self.allowed)
        return [environment.get(name, "") for name in names]


def _cloud_login(environment: Mapping[str, str]) -> list[str]:
    """The variables of the clouds that the user has told the CLI to log in by."""
    chosen = [switch for switch in _CLOUDS if environment.get(switch, "") not in ("", "0", "false")]
    begin = tuple(prefix for switch in chosen for prefix in _CLOUDS[switch])
    return [*chosen, *(name for name in environment if begin and name.startswith(begin))]


def _result(output: str) -> Mapping[str, Any]:
    """The JSON object that the CLI ends with; an empty one where it printed none."""
    return foreign.parse_object(output.strip().rpartition("\n")[2])
