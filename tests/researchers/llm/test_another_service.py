"""Another language model service is one class and one line of the registry: this one shares nothing with Anthropic's.

It keeps the conversation in the form of Chat Completions, so that the protocol is known to fit those too.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from swarm.errors import UsageError
from swarm.launch import doctor
from swarm.records import Briefing, Edit, Idea
from swarm.researchers.auto import choose
from swarm.researchers.llm.models.protocol import Answer, Call, Failed, Interrupted, Question, Request, Result, Stop
from swarm.researchers.llm.money import NOTHING, Usage
from swarm.researchers.llm.researcher import TURNS, LanguageModel
from swarm.researchers.options import Option
from swarm.researchers.protocol import Away, Profile, needs_key
from swarm.researchers.registry import REGISTRY, create, secrets

KEY = "PARROT_API_KEY"
CODE = "lr = 0.1\n"
PATH = "trainer/train.py"
WORDS = Option("words", 10, "how many words it knows")

Body = dict[str, Any]
Script = list[Body | Exception]


class Service:
    """Gives scripted answers in the form of Chat Completions, and keeps what it was asked in that form."""

    def __init__(self, key: str, words: int) -> None:
        self.model, self.words, self._key = "parrot-1", words, key
        self.script: Script = []
        self.asked: list[tuple[bool, list[Body]]] = []

    async def ask(self, request: Request, stream: bool) -> Answer:
        messages = [{"role": "system", "content": request.system}, *(m for n in request.messages for m in _sent(n))]
        self.asked.append((stream, messages))
        reply = self.script.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return Answer(
            text=reply.get("content") or "",
            calls=tuple(Call(c["id"], c["name"], _parsed(c["arguments"])) for c in reply.get("tool_calls", ())),
            stop={"length": Stop.CUT, "content_filter": Stop.REFUSED}.get(reply.get("finish", ""), Stop.END),
            usage=Usage(input=10, output=5),
            native=reply,
        )

    def worst(self, request: Request) -> Usage:
        return Usage(input=100, output=100)

    def cost(self, usage: Usage) -> float:
        return usage.tokens / 1000

    def hidden(self, text: str) -> str:
        return text.replace(self._key, "***")


class Parrot(LanguageModel):
    profile = Profile("a parrot", offers=True, pays=True, secrets={"api_key": KEY}, options=(TURNS, WORDS), check=needs_key(KEY))  # fmt: skip # noqa: E501

    def open_service(self, key: str, options: Mapping[str, str]) -> Service:
        self.parrot = Service(key, WORDS.read(options))
        return self.parrot


def _sent(message: Question | Answer) -> list[Body]:
    if isinstance(message, Answer):
        return [{"role": "assistant", **message.native}]
    results = [p for p in message.parts if isinstance(p, Result)]
    texts = [p.text for p in message.parts if not isinstance(p, Result)]
    said = [{"role": "tool", "tool_call_id": result.call, "content": result.text} for result in results]
    return [*said, {"role": "user", "content": "\n\n".join(texts)}] if texts else said


def _parsed(arguments: str) -> object:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def uses(name: str, arguments: str = "", /, finish: str = "tool_calls", **named: str) -> Body:
    call = {"id": f"call-{name}-{len(named)}", "name": name, "arguments": arguments or json.dumps(named)}
    return {"content": None, "tool_calls": [call], "finish": finish}


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Parrot]:
    """Makes the researcher, by the name that one line gives it."""
    monkeypatch.setitem(REGISTRY, "parrot", f"{__name__}:Parrot")  # type: ignore[arg-type]

    def make(script: Script, **options: str) -> Parrot:
        made = create("parrot", "gpu0", 0, {"api_key": "canary", **options})
        assert isinstance(made, Parrot)
        made.parrot.script = script
        return made

    return make


def test_it_proposes_and_edits(parrot: Callable[..., Parrot], brief: Callable[..., Briefing], draft: Path) -> None:
    researcher = parrot(
        [
            uses("submit_idea", '{"title": oops'),
            uses("submit_idea", title="lr 0.1 -> 0.2", rationale="why not", category="learning rate"),
            Interrupted(Usage(input=1000)),
            uses("edit_file", path=PATH, old="lr = 0.1", new="lr = 0.2"),
            {"content": "I was thinking th", "finish": "length"},
            {"content": "", "finish": "content_filter"},
            uses("submit_edit"),
        ]
    )

    async def experiment() -> tuple[Idea, Edit, float]:
        briefing = brief(text=CODE, program="Get it down.")
        idea = await researcher.propose(briefing)
        return idea, await researcher.edit(idea, briefing, draft), await researcher.model.spending.left()

    idea, edit, left = asyncio.run(experiment())
    assert idea == Idea("lr 0.1 -> 0.2", "why not", "learning rate")
    assert edit == Edit({PATH: b"lr = 0.2\n"})
    assert left == pytest.approx(20 - 6 * 0.015 - 1.0)  # the one that broke off counts as it told
    asked = researcher.parrot.asked
    assert [stream for stream, _ in asked] == [True, True, True, False, True, True, True]
    for _, messages in asked:  # what every such service insists on: each call is answered at once
        for before, after in itertools.pairwise(messages):
            assert [call["id"] for call in before.get("tool_calls", ())] in ([], [after.get("tool_call_id")])
    final = asked[-1][1]
    assert final[0]["role"] == "system" and "Get it down." in final[0]["content"] and CODE in final[1]["content"]
    assert "takes an object" in final[3]["content"] and "cut off" in final[-1]["content"]


def test_a_failure_lets_it_alone_and_costs_what_it_says(
    parrot: Callable[..., Parrot], brief: Callable[..., Briefing]
) -> None:
    for usage, left in ((NOTHING, 20.0), (None, 19.8)):
        researcher = parrot([Failed("the parrot sleeps, and does not tell canary", 60.0, usage)])
        for _ in range(2):
            with pytest.raises(Away, match=r"the parrot sleeps, and does not tell \*\*\*"):
                asyncio.run(researcher.propose(brief(text=CODE)))
        assert len(researcher.parrot.asked) == 1
        assert asyncio.run(researcher.model.spending.left()) == pytest.approx(left)


def test_whoever_asks_learns_what_it_needs(parrot: Callable[..., Parrot], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "canary")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    assert secrets("parrot", {KEY: "canary", "OTHER": "x"}) == {"api_key": "canary"}
    assert parrot([], words="3").parrot.words == 3
    (line,) = (line for line in doctor._researchers() if line.name == "parrot")
    assert (line.ok, line.text) == (True, "PARROT_API_KEY is set")
    monkeypatch.setattr("swarm.researchers.auto.REGISTRY", {"parrot": "", "sweep": ""})
    assert choose({"max_usd": "3"}).reason == "a parrot, as PARROT_API_KEY is set; at most $3.00"
    monkeypatch.delenv(KEY)
    assert choose().reason == "the sweep, as PARROT_API_KEY is not set; it costs nothing"
    with pytest.raises(UsageError, match="a parrot needs a key: set PARROT_API_KEY"):
        parrot([], api_key="")


class Keyless(Parrot):
    """A service of this machine, which asks for no key."""

    profile = Profile("a tame parrot", options=(TURNS, WORDS))


def test_a_service_without_a_key_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY, "keyless", f"{__name__}:Keyless")  # type: ignore[arg-type]
    monkeypatch.delenv(KEY, raising=False)
    assert isinstance(create("keyless", "gpu0", 0, {}), Keyless)


def test_it_needs_nothing_of_anthropic() -> None:
    program = (
        "import sys, tests.researchers.llm.test_another_service as other; other.Parrot('gpu0', 0, {'api_key': 'k'});"
        "print([name for name in sys.modules if 'anthropic' in name])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
